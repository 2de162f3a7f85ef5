"""Which calls the cache may answer: the configuration and the catalog as one `CacheRule` per route.

Tools are kept when their server's entry names them, or when it says `auto` and the
tool calls itself read-only and idempotent (design, decision 1). Prompts and resources
are kept for as long as the upstream itself says. Everything that may write makes what
was kept from its server dead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from mcp_gateway.cache import CacheRule, Scope, Use
from mcp_gateway.call import Call
from mcp_gateway.catalog import Catalog, CatalogEntry, Kind, Route
from mcp_gateway.wire import encode

_READS: Final = frozenset({"prompts/get", "resources/read"})


@dataclass(frozen=True, slots=True)
class Caching:
    """One server's `cache` entry. `credential` is a digest of whatever its calls are authorized by.

    `owner` tells by a principal's id what its answers depend on besides, such as its own login, and is empty while that
    is not known; None where principals have nothing of their own.
    """

    tools: tuple[str, ...] = ()
    ttl_s: float = 300.0
    auto: bool = False
    credential: str = ""
    scope: Scope = Scope.PRINCIPAL
    stale_s: float = 0.0
    owner: Callable[[str], str] | None = None


class CacheRules:
    """`rule_for` of the cache: a table lookup per call, the table made anew when the catalog changes.

    `states_ttl` tells whether a server's revision knows `ttlMs`; what others read is never kept.
    """

    def __init__(
        self, servers: Mapping[str, Caching], catalog: Callable[[], Catalog], states_ttl: Callable[[str], bool]
    ) -> None:
        self._servers = servers
        self._catalog = catalog
        self._states_ttl = states_ttl
        self._version = ""
        self._tools: dict[str, CacheRule] = {}
        self._forgotten: set[str] = set()

    def configure(self, servers: Mapping[str, Caching]) -> None:
        self._servers = servers
        self._version = ""
        self._forgotten.clear()

    def __call__(self, call: Call) -> CacheRule | None:
        route = call.route
        if route is None or route.server is None:
            return None
        rule, owner = self._rule(call, route), self._servers.get(route.server, Caching()).owner
        return rule if rule is None or owner is None else _owned(rule, owner(call.principal.id))

    def _rule(self, call: Call, route: Route) -> CacheRule | None:
        if call.method == "tools/call":
            rule = self._tool(route)
            return None if rule is not None and rule.use is Use.WRITE and self._is_forgotten(rule.server) else rule
        server = route.server or ""
        if call.method in _READS and self._states_ttl(server):
            self._forgotten.discard(server)
            caching = self._servers.get(server, Caching())
            return CacheRule(Use.KEEP, server, credential=caching.credential, scope=caching.scope)
        return None

    def _tool(self, route: Route) -> CacheRule | None:
        catalog = self._catalog()
        if catalog.version != self._version:
            self._tools = {entry.route.exposed: self._of(entry) for entry in catalog.entries(Kind.TOOL)}
            self._version = catalog.version
        return self._tools.get(route.exposed)

    def _is_forgotten(self, server: str) -> bool:
        """Whether nothing is left that a write could make wrong: an earlier one made all dead, and nothing is kept."""
        caching = self._servers.get(server, Caching())
        if caching.tools or caching.auto or self._states_ttl(server):
            self._forgotten.discard(server)
            return False
        if server in self._forgotten:
            return True
        self._forgotten.add(server)
        return False

    def _of(self, entry: CatalogEntry) -> CacheRule:
        server = entry.route.server or ""
        caching = self._servers.get(server, Caching())
        return CacheRule(
            use=_use(entry, caching),
            server=server,
            ttl_s=caching.ttl_s,
            definition=hashlib.sha256(encode(entry.definition)).hexdigest(),
            credential=caching.credential,
            scope=caching.scope,
            stale_s=caching.stale_s,
        )


def _owned(rule: CacheRule, owner: str) -> CacheRule:
    """The rule for one owner. While that is not known nothing is kept: the next one may be another."""
    if not owner and rule.use is Use.KEEP:
        return replace(rule, use=Use.PASS)
    return replace(rule, credential=f"{rule.credential} {owner}")


def _use(entry: CatalogEntry, caching: Caching) -> Use:
    hints: Any = entry.definition.get("annotations")
    reads = isinstance(hints, dict) and hints.get("readOnlyHint") is True
    if any(fnmatchcase(entry.route.name, glob) for glob in caching.tools):
        return Use.KEEP
    if caching.auto and reads and hints.get("idempotentHint") is True:
        return Use.KEEP
    return Use.PASS if reads else Use.WRITE
