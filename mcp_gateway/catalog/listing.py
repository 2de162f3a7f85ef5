"""List results, encoded ahead: what a client of each era is shown of a definition.

Merged definitions enter, bytes leave. Fields that a revision does not know are kept
(clients ignore them, vendors rely on them) unless they break clients; `WITHHELD` is
the table of those. There is one page: any cursor but the empty one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway.catalog.offer import Entry, Freshness
from mcp_gateway.catalog.route import LIST_FIELD, Kind, Route
from mcp_gateway.errors import InvalidParams
from mcp_gateway.wire import Raw, encode, loads


def lacks_object_type(schema: Raw) -> bool:
    """Whether a schema does not state that it describes an object."""
    decoded = loads(schema)
    return not isinstance(decoded, dict) or decoded.get("type") != "object"


def _always(_: Raw) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Withheld:
    """A tool's field that clients of an era are not shown when `applies` says so."""

    field: str
    legacy: bool
    modern: bool
    applies: Callable[[Raw], bool]


WITHHELD: Final = (
    # Tasks are not bridged, so no tool may ask for them (2025-11-25, server/tools, tool execution; gone in 2026-07-28).
    Withheld("execution", legacy=True, modern=True, applies=_always),
    # An object up to 2025-11-25 (server/tools, output schema), any schema from 2026-07-28 (SEP-2106).
    Withheld("outputSchema", legacy=True, modern=False, applies=lacks_object_type),
)

_FIELDS: Final = frozenset(rule.field for rule in WITHHELD)


@dataclass(frozen=True, slots=True)
class Listed:
    """One definition and its encodings; `modern` is None when 2026-07-28 clients must not see it."""

    route: Route
    legacy: bytes
    modern: bytes | None

    @classmethod
    def of(cls, route: Route, entry: Entry, *, modern: bool = True) -> Listed:
        if route.kind is not Kind.TOOL or _FIELDS.isdisjoint(entry):
            encoded = encode(entry)
            return cls(route, encoded, encoded if modern else None)
        legacy = encode(_shown(entry, [rule for rule in WITHHELD if rule.legacy]))
        shown = encode(_shown(entry, [rule for rule in WITHHELD if rule.modern])) if modern else None
        return cls(route, legacy, shown)

    def definition(self) -> dict[str, Any]:
        """The decoded definition in its fullest form."""
        decoded: dict[str, Any] = loads(self.legacy if self.modern is None else self.modern)
        return decoded


def _shown(entry: Entry, rules: Iterable[Withheld]) -> Entry:
    hidden = {rule.field for rule in rules if rule.field in entry and rule.applies(entry[rule.field])}
    return {name: raw for name, raw in entry.items() if name not in hidden}


def list_result(kind: Kind, encoded: Iterable[bytes], fresh: Freshness | None) -> Raw:
    """A list result around encoded definitions; `fresh` is given for 2026-07-28 and later.

    Fields: 2026-07-28, basic/index (resultType) and server/utilities/caching (SEP-2549).
    """
    body = b'{"%b":[%b]' % (LIST_FIELD[kind].encode(), b",".join(encoded))
    if fresh is None:
        return Raw(body + b"}")
    scope = b"public" if fresh.public else b"private"
    return Raw(body + b',"resultType":"complete","ttlMs":%d,"cacheScope":"%b"}' % (fresh.ttl_ms, scope))


def check_cursor(params: Mapping[str, Any]) -> None:
    """Refuse any cursor but none, null and the empty one: we never give one out.

    Raises:
        InvalidParams: 2026-07-28, server/utilities/pagination: -32602.
    """
    cursor = params.get("cursor")
    if isinstance(cursor, Raw):
        cursor = loads(cursor)
    if cursor is not None and cursor != "":
        raise InvalidParams("invalid cursor: lists have a single page; leave the cursor out")
