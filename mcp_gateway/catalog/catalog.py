"""The merged, immutable view of everything upstreams offer.

Offers, rules and built-ins enter; names, routes, encoded listings and problems come
out, and nothing here waits for anyone. A changed offer means a new catalog; whoever
holds the old one keeps a consistent view.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from typing import Any, Final, TypeVar

from mcp_gateway.catalog import instructions
from mcp_gateway.catalog.listing import Listed, list_result
from mcp_gateway.catalog.merge import Merged, merge
from mcp_gateway.catalog.names import fold
from mcp_gateway.catalog.offer import Freshness, Offer, freshness
from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.catalog.rules import ExposeRules, Order, Prefix, ServerRules, StickyNames
from mcp_gateway.catalog.splice import rewrite_uris
from mcp_gateway.catalog.uris import SeenUris
from mcp_gateway.catalog.view import Shortlist, View
from mcp_gateway.revisions import is_modern
from mcp_gateway.wire import Raw, encode, fields

Key = TypeVar("Key")
Value = TypeVar("Value")

Allowed = Callable[[Route], bool]

Definitions = Callable[[], Iterable[Mapping[str, Any]]]
"""Tool definitions that are made only when they are needed, `Raw` or plain."""

_MAX_KEPT: Final = 64
"""Filtered listings kept, and sizes: parts of the whole that are asked for at a time (our choice)."""

_MAX_GUESS_CHARS: Final = 128
"""Longer names are not compared: comparing is quadratic, and nobody mistypes that much."""

BYTES_PER_TOKEN: Final = 4
"""Calibrated with GPT-3's tokenizer on 591 public tool definitions (2026-11-24): 3.9; 3.1 where schemas are large."""

_CHANGE: Final = {
    Kind.TOOL: "tools",
    Kind.PROMPT: "prompts",
    Kind.RESOURCE: "resources",
    Kind.TEMPLATE: "resources",
}
"""What a `list_changed` notification calls a change of the kind."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """One definition for programs and people: decoded, as clients see it, with its route."""

    route: Route
    definition: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Size:
    """What listing tools costs a model."""

    tools: int
    bytes: int

    @property
    def tokens(self) -> int:
        """An estimate."""
        return -(-self.bytes // BYTES_PER_TOKEN)


class Catalog:
    """Build one with `Catalog.build`; an empty one is `Catalog.build(())`.

    Attributes:
        instructions: merged from all servers, or None.
        problems: everything that was dropped, changed or looks wrong, in order.
        sticky: names to hand to the next build in collision mode, this build's included.
        prefixes: server -> the prefix of its names.
    """

    def __init__(
        self, merged: Merged, freshness_by_kind: Mapping[Kind, Freshness], sticky: StickyNames, expose: ExposeRules
    ) -> None:
        self.instructions: Final = merged.instructions
        self.problems: Final = tuple(merged.problems)
        self.sticky: Final = sticky
        self.prefixes: Final = merged.prefixes
        self._uris = merged.uris
        self._listed = {kind: tuple(listed) for kind, listed in merged.listed.items()}
        self._named = {
            kind: {listed.route.exposed: listed for listed in self._listed[kind]} for kind in (Kind.TOOL, Kind.PROMPT)
        }
        self._expose = expose
        self._texts = tuple(merged.texts)
        self._freshness = freshness_by_kind
        self._joined: dict[tuple[Kind, bool], Raw] = {}
        self._filtered: dict[tuple[Kind, bool, View | Shortlist], Raw] = {}
        self._sizes: dict[View, Size] = {}
        self.digests: Final = {kind: _digest(listed) for kind, listed in self._listed.items()}
        self.version: Final = sha256(
            "".join([*self.digests.values(), self.instructions or ""]).encode("utf-8", "replace")
        ).hexdigest()[:16]

    @classmethod
    def build(
        cls,
        offers: Sequence[Offer],
        rules: Mapping[str, ServerRules] | None = None,
        expose: ExposeRules | None = None,
        builtins: Iterable[Mapping[str, Any]] = (),
    ) -> Catalog:
        """Merge offers, given in the order of the configuration; no server may occur twice.

        `builtins` are tool definitions, `Raw` or plain values; they are listed first.
        """
        expose = expose or ExposeRules()
        merged = merge(offers, rules or {}, expose, builtins)
        if expose.order is Order.NAME:
            for listed in merged.listed.values():
                listed.sort(key=lambda item: item.route.exposed)
        fresh = {
            kind: freshness((part for offer in offers for part in offer.parts if part.kind is kind), expose.freshness)
            for kind in Kind
        }
        sticky = {**expose.sticky, **merged.namer.given} if expose.prefix is Prefix.COLLISION else {}
        return cls(merged, fresh, sticky, expose)

    def find(self, kind: Kind, exposed: str) -> Route | None:
        """The route of a tool or prompt by exposed name, of a listed resource or template by exposed URI."""
        if kind in self._named:
            listed = self._named[kind].get(exposed)
            return None if listed is None else listed.route
        return self._uris.find(kind, exposed)

    def tool(self, exposed: str) -> CatalogEntry | None:
        """One tool's definition, decoded."""
        listed = self._named[Kind.TOOL].get(exposed)
        return None if listed is None else CatalogEntry(listed.route, listed.definition())

    def nearest(self, kind: Kind, name: str, allowed: Allowed | None = None) -> str | None:
        """The exposed name a caller probably meant; a bare upstream name finds its exposed one."""
        if len(name) > _MAX_GUESS_CHARS:
            return None
        routes = [listed.route for listed in self._listed[kind] if allowed is None or allowed(listed.route)]
        wanted = fold(name)
        for route in routes:
            if wanted in {fold(route.name), fold(route.exposed)}:
                return route.exposed
        by_fold = {fold(known): route.exposed for route in routes for known in (route.name, route.exposed)}
        close = get_close_matches(wanted, by_fold, n=1)
        return by_fold[close[0]] if close else None

    def owner(self, uri: str, seen: SeenUris | None = None) -> Route | None:
        """Where a concrete URI is read: listed, then by template, then as seen in results."""
        return self._uris.owner(uri, seen)

    def exposed_uri(self, server: str, uri: str) -> str:
        """The downstream form of an upstream's URI."""
        return self._uris.exposed(server, uri)

    def rewrite_uris(self, server: str, method: str, body: Raw) -> Raw:
        """A server's raw result with its URIs in their downstream form; untouched unless it lost a collision."""
        if not self._uris.rewrites(server):
            return body
        return rewrite_uris(method, body, lambda uri: self._uris.exposed(server, uri))

    def instructions_for(self, view: View) -> str | None:
        """Merged from the servers of the view."""
        texts = [(self.prefixes[server], text) for server, text in self._texts if view.admits_server(server)]
        return self.instructions if len(texts) == len(self._texts) else instructions.merge(texts, self._expose.prefix)

    def listing(
        self, kind: Kind, revision: str, allowed: Allowed | None = None, *, besides: Definitions = tuple
    ) -> Raw:
        """The encoded list result, one page, for a client of the revision; `besides` are listed in front.

        Kept without a predicate, and for a `View` or a `Shortlist`, of which `besides` must be a function then.
        A listing that depends on who asks says `private`, whatever the upstreams say.
        """
        modern = is_modern(revision)
        if allowed is None:
            joined = self._joined.get((kind, modern))
            if joined is None:
                joined = self._joined[kind, modern] = self._join(kind, modern, None, ())
            return joined
        if not isinstance(allowed, View | Shortlist):
            return self._join(kind, modern, allowed, besides())
        key = kind, modern, allowed
        filtered = self._filtered.get(key)
        return filtered or _keep(self._filtered, key, self._join(kind, modern, allowed, besides()))

    def _join(self, kind: Kind, modern: bool, allowed: Allowed | None, besides: Iterable[Mapping[str, Any]]) -> Raw:
        shown = [_listed(kind, definition) for definition in besides]
        shown += [listed for listed in self._listed[kind] if allowed is None or allowed(listed.route)]
        if self._expose.order is Order.NAME:
            shown.sort(key=lambda listed: listed.route.exposed)
        if not modern:
            return list_result(kind, [listed.legacy for listed in shown], None)
        fresh = self._freshness[kind]
        fresh = Freshness(fresh.ttl_ms, fresh.public and allowed is None)
        return list_result(kind, [listed.modern for listed in shown if listed.modern is not None], fresh)

    def size(self, view: View) -> Size:
        """What listing all tools of the view costs, the same for every revision."""
        size = self._sizes.get(view)
        if size is None:
            shown = [len(listed.legacy) for listed in self._listed[Kind.TOOL] if view(listed.route)]
            size = _keep(self._sizes, view, Size(len(shown), sum(shown)))
        return size

    def tools_by_server(self, view: View) -> Mapping[str, int]:
        """How many tools of the view each server has; servers without any, and built-ins, are left out."""
        return Counter(
            listed.route.server
            for listed in self._listed[Kind.TOOL]
            if listed.route.server is not None and view(listed.route)
        )

    def entries(self, kind: Kind) -> tuple[CatalogEntry, ...]:
        """All definitions of a kind, decoded; for REST, the command line and search."""
        return tuple(CatalogEntry(listed.route, listed.definition()) for listed in self._listed[kind])


def _keep(kept: dict[Key, Value], key: Key, value: Value) -> Value:
    """Enter a value; the one that was entered first makes room."""
    if len(kept) >= _MAX_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value
    return value


def _listed(kind: Kind, definition: Mapping[str, Any]) -> Listed:
    name = str(definition["name"])
    return Listed.of(Route(kind, None, name, name), fields(encode(definition)))


def diff(old: Catalog, new: Catalog) -> frozenset[str]:
    """Which lists differ: a subset of {"tools", "prompts", "resources"}."""
    return frozenset(_CHANGE[kind] for kind in Kind if old.digests[kind] != new.digests[kind])


def _digest(listed: Sequence[Listed]) -> str:
    running = sha256()
    for one in listed:
        for encoded in (one.legacy, one.modern or b""):
            running.update(b"%d:%b" % (len(encoded), encoded))
    return running.hexdigest()
