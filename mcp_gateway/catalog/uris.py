"""Whose URI is it? URIs pass through unchanged; only a collision is rewritten.

Listed URIs and templates enter in the order of the configuration, the owner of a
concrete URI leaves. A URI that an earlier server offers already becomes
`x-{server}+{uri}` for the later one (design, decision 13): text often quotes URIs,
and clients may fetch `https:` ones themselves, so rewriting is the last resort.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Final

from mcp_gateway.catalog.names import digest
from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.catalog.templates import UriTemplate, UriText

SEEN_MAX: Final = 10_000
"""URIs remembered from results. Our choice: about 2 MB."""


class SeenUris:
    """URIs met in results of upstreams, the least recently used forgotten first.

    The first server that showed a URI keeps it until it is forgotten. Belongs to one
    event loop; not thread-safe.
    """

    def __init__(self, max_uris: int = SEEN_MAX) -> None:
        self._max_uris = max_uris
        self._routes: OrderedDict[str, Route] = OrderedDict()

    def __len__(self) -> int:
        return len(self._routes)

    def add(self, server: str, uri: str, name: str | None = None) -> None:
        """Remember who showed a URI; `name` is the upstream's own form where that differs."""
        self._routes.setdefault(uri, Route(Kind.RESOURCE, server, uri, uri if name is None else name))
        self._routes.move_to_end(uri)
        if len(self._routes) > self._max_uris:
            self._routes.popitem(last=False)

    def get(self, uri: str) -> Route | None:
        if uri in self._routes:
            self._routes.move_to_end(uri)
        return self._routes.get(uri)

    def forget(self, server: str) -> None:
        """Drop everything one server showed: it has left the configuration."""
        for uri in [uri for uri, route in self._routes.items() if route.server == server]:
            del self._routes[uri]


class Uris:
    """The ownership table, filled while a catalog is built and only read afterwards."""

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self._schemes = {server: _scheme(prefix) for server, prefix in prefixes.items()}
        self._claimed: dict[Kind, dict[str, Route]] = {Kind.RESOURCE: {}, Kind.TEMPLATE: {}}
        self._patterns: list[tuple[UriTemplate, Route]] = []
        self._rewritten: dict[str, dict[str, str]] = {}
        self._rewritten_patterns: dict[str, list[tuple[UriTemplate, str]]] = {}

    def claim(self, kind: Kind, server: str, uri: str) -> Route:
        """Enter a listed URI or template; the route's `exposed` differs from `name` after a collision."""
        claimed = self._claimed[kind]
        prefix = next(prefix for prefix in self._prefixes(server, uri) if prefix + uri not in claimed)
        route = Route(kind, server, prefix + uri, uri)
        claimed[route.exposed] = route
        if kind is Kind.TEMPLATE:
            self._enter_template(server, uri, prefix, route)
        elif prefix:
            self._rewritten.setdefault(server, {})[uri] = route.exposed
        return route

    def _prefixes(self, server: str, uri: str) -> Iterator[str]:
        """Prefixes to try, the empty one first; there is always one more."""
        scheme = f"x-{self._schemes[server]}"
        yield ""
        yield f"{scheme}+"
        for attempt in count():  # pragma: no branch: counting never ends
            yield f"{scheme}-{digest(server, uri, str(attempt))}+"

    def _enter_template(self, server: str, uri: str, prefix: str, route: Route) -> None:
        pattern = UriTemplate.parse(uri)
        if pattern is None:  # listed as it is, but no concrete URI comes from it
            return
        self._patterns.append((pattern, route))
        if prefix:
            self._rewritten_patterns.setdefault(server, []).append((pattern, prefix))

    def find(self, kind: Kind, exposed: str) -> Route | None:
        return self._claimed[kind].get(exposed)

    def owner(self, uri: str, seen: SeenUris | None = None) -> Route | None:
        """Where a concrete URI is read: who lists it, whose template fits it, who showed it.

        A template comes before what results showed, so that no server can draw
        another's URIs to itself by mentioning them.
        """
        listed = self._claimed[Kind.RESOURCE].get(uri)
        if listed is not None:
            return listed
        text = UriText(uri)
        for pattern, route in self._patterns:
            prefix = route.exposed[: len(route.exposed) - len(route.name)]
            own = UriText(uri[len(prefix) :]) if prefix and uri.startswith(prefix) else text
            if uri.startswith(prefix) and pattern.matches(own):
                return Route(Kind.RESOURCE, route.server, uri, uri[len(prefix) :])
        return None if seen is None else seen.get(uri)

    def rewrites(self, server: str) -> bool:
        """Whether any of the server's URIs has another form downstream."""
        return server in self._rewritten or server in self._rewritten_patterns

    def exposed(self, server: str, uri: str) -> str:
        """The downstream form of a URI that the server used in a result."""
        listed = self._rewritten.get(server, {}).get(uri)
        if listed is not None:
            return listed
        text = UriText(uri)
        for pattern, prefix in self._rewritten_patterns.get(server, ()):
            if pattern.matches(text):
                return prefix + uri
        return uri


def _scheme(prefix: str) -> str:
    """A server's prefix as part of a URI scheme: RFC 3986 has no underscore there, and parsers fold the case."""
    return prefix.lower().replace("_", "-")
