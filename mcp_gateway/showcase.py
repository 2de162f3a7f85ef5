"""What each client is shown of the catalog: all of it or a profile, in full or through search.

A client enters, its view and its tool list leave. What is not listed stays callable by
name; what is outside of the view is not there at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

from mcp_gateway.builtin import MCPFunctions
from mcp_gateway.builtin.finder import surface
from mcp_gateway.call import Client, Mode
from mcp_gateway.catalog import NOTHING, WHOLE, Catalog, Filter, Kind, Shortlist, View
from mcp_gateway.security.policy import SCOPE_OF_TOOL
from mcp_gateway.security.principal import Grant
from mcp_gateway.wire import Raw


@dataclass(frozen=True, slots=True)
class Profile:
    """A part of the whole under a name. `mode` None: as everybody."""

    view: View = WHOLE
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class ShowRules:
    """The `expose` and `profiles` sections: `clients` by `clientInfo.name`, `pinned` are globs of exposed names."""

    mode: Mode = Mode.AUTO
    max_tools: int = 40
    max_tokens: int = 10_000
    pinned: tuple[str, ...] = ()
    clients: Mapping[str, Mode] = field(default_factory=dict)
    profiles: Mapping[str, Profile] = field(default_factory=dict)


class Showcase:
    """`finders` run `search_tools` and `describe_tools`."""

    def __init__(self, rules: ShowRules, finders: MCPFunctions) -> None:
        self.rules = rules
        self.finders = finders

    def view(self, client: Client) -> View:
        """What the client may use of the whole: the one predicate that listings, searches and calls share (R-AUTH-2).

        It is what its principal is let at, within the profile it has selected and the one it is bound to.
        """
        principal = client.principal
        view = _let_at(principal.scopes, principal.grant)
        for name in dict.fromkeys((client.selection.profile, principal.grant.profile)):
            view = view if name is None else view & self._profile(name)
        return view

    def _profile(self, name: str) -> View:
        """Nothing, when the profile is gone from the configuration."""
        profile = self.rules.profiles.get(name)
        return NOTHING if profile is None else profile.view

    def mode(self, client: Client, catalog: Catalog) -> Mode:
        """`all` or `search`, never `auto`."""
        mode = self._wanted(client)
        if mode is not Mode.AUTO:
            return mode
        size = catalog.size(self.view(client))
        fits = size.tools <= self.rules.max_tools and size.tokens <= self.rules.max_tokens
        return Mode.ALL if fits else Mode.SEARCH

    def _wanted(self, client: Client) -> Mode:
        """1. its address or a flag; 2. its key; 3. its profile; 4. its name, in a session of its own; 5. the file.

        Lists of 2026-07-28 must not vary by connection, so a name means nothing there (SEP-2567).
        """
        if client.selection.mode is not None:
            return client.selection.mode
        grant = client.principal.grant
        if grant.mode is not None:
            return Mode(grant.mode)
        profile = self.rules.profiles.get(client.selection.profile or grant.profile or "")
        if profile is not None and profile.mode is not None:
            return profile.mode
        if client.modern:
            return self.rules.mode
        return self.rules.clients.get(_name(client.info), self.rules.mode)

    def listing(self, kind: Kind, client: Client, catalog: Catalog) -> Raw:
        """The encoded list result for the client."""
        view = self.view(client)
        if kind is Kind.TOOL and self.mode(client, catalog) is Mode.SEARCH:
            besides = partial(surface, self.finders.definitions, catalog, view)
            return catalog.listing(kind, client.revision, Shortlist(view, self.rules.pinned), besides=besides)
        return catalog.listing(kind, client.revision, None if view == WHOLE else view)


@lru_cache(maxsize=1024)
def _let_at(scopes: frozenset[str], grant: Grant) -> View:
    """What a grant admits, without the built-in tools that have a scope of their own which is missing."""
    closed = tuple(tool for tool, scope in SCOPE_OF_TOOL.items() if scope not in scopes)
    only = Filter(grant.servers, grant.deny_servers, grant.tools, (*grant.deny_tools, *closed))
    return WHOLE if only == Filter() else View((only,))


def _name(info: Mapping[str, Any] | None) -> str:
    name = info.get("name") if info is not None else None
    return name if isinstance(name, str) else ""
