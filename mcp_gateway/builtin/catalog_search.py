"""Searching the merged catalog: tools, prompts, resources and templates that fit a few words.

A catalog, queries and a predicate enter, ranked hits leave. Ranking is the business of `retrieval`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import anyio.to_thread
from pydantic import BaseModel, Field

from mcp_gateway.catalog import Allowed, Catalog, CatalogEntry, Kind
from mcp_gateway.catalog.signature import first_line, signature
from mcp_gateway.retrieval import Document, Hit, Index, schema_text

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
        self._index: Index[CatalogEntry] = Index.build(())

    async def search(
        self, catalog: Catalog, kinds: Sequence[Kind], queries: Sequence[str], limit: int, allowed: Allowed
    ) -> list[CatalogHit]:
        """The best hits of the kinds; several queries are merged."""
        index = await self._newest(catalog)
        wanted = frozenset(kinds)

        def accepts(document: Document[CatalogEntry]) -> bool:
            route = document.subject.route
            return route.kind in wanted and allowed(route)

        return [_hit(hit) for hit in index.search(queries, limit, accepts)]

    async def _newest(self, catalog: Catalog) -> Index[CatalogEntry]:
        """Searches that meet a new catalog together may build its index twice; that costs time and nothing else."""
        if catalog is self._catalog:
            return self._index
        index = await anyio.to_thread.run_sync(_index, catalog)
        self._catalog, self._index = catalog, index
        return index


def _index(catalog: Catalog) -> Index[CatalogEntry]:
    return Index.build(_document(entry) for kind in Kind for entry in catalog.entries(kind))


def _document(entry: CatalogEntry) -> Document[CatalogEntry]:
    definition = entry.definition
    return Document(
        subject=entry,
        name=_names(entry),
        server=entry.route.server or "",
        title=_text(definition.get("title")),
        description=_text(definition.get("description")),
        schema=_parameters(entry),
    )


def _names(entry: CatalogEntry) -> str:
    """The upstream's own name and, where it is another one, what the definition calls itself."""
    own, shown = entry.route.name, _text(entry.definition.get("name"))
    return own if shown.endswith(own) else f"{own} {shown}"


def _parameters(entry: CatalogEntry) -> str:
    if entry.route.kind is Kind.TOOL:
        return schema_text(entry.definition.get("inputSchema"))
    named = {argument.get("name"): argument for argument in _arguments(entry.definition)}
    return schema_text({"properties": named})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _hit(hit: Hit[CatalogEntry]) -> CatalogHit:
    entry = hit.document.subject
    route, definition = entry.route, entry.definition
    described = first_line(definition.get("description")) or first_line(definition.get("title"))
    return CatalogHit(
        rank=hit.rank,
        kind=route.kind.value,
        name=route.exposed,
        server=route.server,
        tool=route.name if route.kind is Kind.TOOL else None,
        description=described[:MAX_DESCRIPTION_CHARS],
        signature=_signature(entry),
        score=hit.score,
    )


def _signature(entry: CatalogEntry) -> str:
    match entry.route.kind:
        case Kind.TOOL:
            return signature(entry.definition)
        case Kind.PROMPT:
            arguments = [f"{a.get('name')}{'' if a.get('required') else '?'}" for a in _arguments(entry.definition)]
            return f"{entry.route.exposed}({', '.join(arguments)})"
        case _:
            return entry.route.exposed


def _arguments(prompt: Mapping[str, Any]) -> list[dict[str, Any]]:
    arguments = prompt.get("arguments")
    return [argument for argument in arguments if isinstance(argument, dict)] if isinstance(arguments, list) else []
