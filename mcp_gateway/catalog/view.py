"""Parts of the catalog: what a caller may use, and what of that a listing shows.

Globs enter, predicates over routes leave. They are plain values: equal ones admit the
same, so a catalog keeps the listing of each. What they do not admit is neither listed
nor found nor called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from mcp_gateway.catalog.route import Kind, Route


def matches(name: str, globs: Iterable[str]) -> bool:
    """Whether one of the globs fits; they tell case."""
    return any(fnmatchcase(name, glob) for glob in globs)


@dataclass(frozen=True, slots=True)
class Filter:
    """Globs: servers by their configured names, tools by their exposed ones; `deny` wins over `allow`.

    Built-ins have no server, so only the globs of tools decide on them.
    """

    servers: tuple[str, ...] = ("*",)
    deny_servers: tuple[str, ...] = ()
    tools: tuple[str, ...] = ("*",)
    deny_tools: tuple[str, ...] = ()

    def admits_server(self, server: str) -> bool:
        return matches(server, self.servers) and not matches(server, self.deny_servers)

    def admits(self, route: Route) -> bool:
        if route.server is not None and not self.admits_server(route.server):
            return False
        if route.kind is not Kind.TOOL:
            return True
        return matches(route.exposed, self.tools) and not matches(route.exposed, self.deny_tools)


@dataclass(frozen=True, slots=True)
class View:
    """What a caller may use: that which every filter admits."""

    filters: tuple[Filter, ...] = ()

    def __call__(self, route: Route) -> bool:
        return all(each.admits(route) for each in self.filters)

    def __and__(self, other: View) -> View:
        return View((*self.filters, *other.filters))

    def admits_server(self, server: str) -> bool:
        return all(each.admits_server(server) for each in self.filters)


WHOLE: Final = View()
"""Everything."""

NOTHING: Final = View((Filter(servers=(), tools=()),))


@dataclass(frozen=True, slots=True)
class Shortlist:
    """What search mode lists of a view: built-ins, and the tools whose exposed names fit `pinned`."""

    view: View
    pinned: tuple[str, ...] = ()

    def __call__(self, route: Route) -> bool:
        return self.view(route) and (route.server is None or matches(route.exposed, self.pinned))
