"""Searching the merged catalog: tools, prompts, resources and templates that fit a few words.

A catalog, queries and a predicate enter, ranked hits leave. Ranking is the business of `retrieval`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any, Literal

import anyio.to_thread
from pydantic import BaseModel, Field

from mcp_gateway.catalog import Allowed, Catalog, CatalogEntry, Kind
from mcp_gateway.catalog.signature import first_line, signature
from mcp_gateway.retrieval.plain import Document, PlainIndex

MAX_DESCRIPTION_CHARS = 300
"""Enough to choose by; the whole text is in the listing (our choice)."""


class CatalogHit(BaseModel):
    """Something the gateway offers."""

    rank: int
    kind: Literal["tool", "prompt", "resource", "template"]
    name: str = Field(description="What to call, get or read: a name, or a URI.")
    server: str | None = Field(description="The server it belongs to; null for a built-in tool.")
    tool: str | None = Field(description="A tool's own name at its server; null for other kinds.")
    description: str
    signature: str = Field(description="Name and arguments of a tool or prompt; the URI of a resource.")
    score: float


class CatalogSearch:
    """Keeps the index of the newest catalog it saw."""

    def __init__(self) -> None:
        self._catalog: Catalog | None = None
        self._indexes: dict[Kind, tuple[tuple[CatalogEntry, ...], PlainIndex]] = {}

    async def search(
        self, catalog: Catalog, kinds: Sequence[Kind], queries: Sequence[str], limit: int, allowed: Allowed
    ) -> list[CatalogHit]:
        """The best hits: of several queries and kinds the best of each first."""
        if catalog is not self._catalog:
            self._catalog, self._indexes = catalog, {}
        found = []
        for kind in kinds:
            if kind not in self._indexes:
                self._indexes[kind] = await anyio.to_thread.run_sync(_index, catalog, kind)
            found.append([_hits(*self._indexes[kind], query, limit, allowed) for query in queries])
        by_query = [
            sorted(chain.from_iterable(lists), key=lambda hit: -hit.score) for lists in zip(*found, strict=True)
        ]
        return _merged(by_query, limit)


def _index(catalog: Catalog, kind: Kind) -> tuple[tuple[CatalogEntry, ...], PlainIndex]:
    entries = catalog.entries(kind)
    return entries, PlainIndex([_document(entry) for entry in entries])


def _document(entry: CatalogEntry) -> Document:
    definition = entry.definition
    texts = (definition.get(field) for field in ("title", "description"))
    return Document(
        name=f"{entry.route.name} {definition.get('name', '')}",
        server=entry.route.server or "",
        description=" ".join(text for text in texts if isinstance(text, str)),
        schema=_signature(entry),
    )


def _hits(
    entries: Sequence[CatalogEntry], index: PlainIndex, query: str, limit: int, allowed: Allowed
) -> list[CatalogHit]:
    matches = index.search(query, limit, lambda position: allowed(entries[position].route))
    return [_hit(entries[match.position], match.score) for match in matches]


def _hit(entry: CatalogEntry, score: float) -> CatalogHit:
    route, definition = entry.route, entry.definition
    described = first_line(definition.get("description")) or first_line(definition.get("title"))
    return CatalogHit(
        rank=0,
        kind=route.kind.value,
        name=route.exposed,
        server=route.server,
        tool=route.name if route.kind is Kind.TOOL else None,
        description=described[:MAX_DESCRIPTION_CHARS],
        signature=_signature(entry),
        score=score,
    )


def _signature(entry: CatalogEntry) -> str:
    match entry.route.kind:
        case Kind.TOOL:
            return signature(entry.definition)
        case Kind.PROMPT:
            return f"{entry.route.exposed}({', '.join(_arguments(entry.definition.get('arguments')))})"
        case _:
            return entry.route.exposed


def _arguments(arguments: Any) -> Iterable[str]:
    for argument in arguments if isinstance(arguments, list) else ():
        if isinstance(argument, dict):
            yield f"{argument.get('name')}{'' if argument.get('required') else '?'}"


def _merged(lists: Sequence[Sequence[CatalogHit]], limit: int) -> list[CatalogHit]:
    unique: dict[tuple[str, str], CatalogHit] = {}
    for hit in chain.from_iterable(zip_longest(*lists)):
        if hit is not None:
            unique.setdefault((hit.kind, hit.name), hit)
    best = list(unique.values())[:limit]
    return [hit.model_copy(update={"rank": rank}) for rank, hit in enumerate(best, 1)]
