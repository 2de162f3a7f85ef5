"""Searching the merged catalog: tools, prompts, resources and templates that fit a few words.

A catalog, queries and a predicate enter, ranked hits leave. Ranking is the business of `retrieval`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import anyio
import anyio.to_thread
from pydantic import BaseModel, Field

from mcp_gateway.catalog import Allowed, Catalog, CatalogEntry, Kind
from mcp_gateway.catalog.signature import first_line, signature
from mcp_gateway.events import CatalogChanged, Event
from mcp_gateway.llm.embeddings import Embeddings
from mcp_gateway.llm.retrieval import RetrievalService
from mcp_gateway.retrieval import Document, Hit, Index, schema_text

MAX_DESCRIPTION_CHARS = 300
"""Enough to choose by; the whole text is in the listing (our choice)."""

MIXED_AT_ONCE = 100
"""Documents whose vectors are compared on the event loop: 2 ms for each query (measured, 384 numbers, 2026-11)."""


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

    def line(self) -> str:
        """For a reader: what it is, and below that what it does."""
        return f"[{self.rank}] {self.kind} {self.signature}\n    {self.description}".rstrip()


class CatalogSearch:
    """Keeps the index of the newest catalog it saw; `embeddings` mix meaning into its answers, where there are any."""

    def __init__(self, embeddings: Embeddings | None = None) -> None:
        self._catalog: Catalog | None = None
        self._index: Index[CatalogEntry] = Index.build(())
        self._embeddings = embeddings or Embeddings(RetrievalService)
        self._changed = anyio.Event()

    async def run(self, catalog: Callable[[], Catalog]) -> None:
        """Have the passages of each catalog embedded, one after the other, until cancelled.

        Without embeddings nothing is done beforehand: the first search builds the index.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._embeddings.run)
            while True:
                self._changed = anyio.Event()
                if self._embeddings.are_configured:
                    await self._newest(catalog())
                await self._changed.wait()

    def hear(self, event: Event) -> None:
        if isinstance(event, CatalogChanged):
            self._changed.set()

    def renew(self) -> None:
        """The model in force may be another one."""
        self._embeddings.renew()
        self._changed.set()

    async def search(
        self, catalog: Catalog, kinds: Sequence[Kind], queries: Sequence[str], limit: int, allowed: Allowed
    ) -> list[CatalogHit]:
        """The best hits of the kinds; several queries are merged."""
        index = await self._newest(catalog)
        wanted = frozenset(kinds)

        def accepts(document: Document[CatalogEntry]) -> bool:
            route = document.subject.route
            return route.kind in wanted and allowed(route)

        vectors = await self._embeddings.vectors(queries)
        if vectors is None or len(index.documents) <= MIXED_AT_ONCE:
            return [_hit(hit) for hit in index.search(queries, limit, accepts, vectors)]
        return [_hit(hit) for hit in await anyio.to_thread.run_sync(index.search, queries, limit, accepts, vectors)]

    async def score(self, catalog: Catalog, question: str) -> float:
        """How well the best tool fits by its words, from 0 to 1; meaning only says which tool is nearest."""
        index = await self._newest(catalog)
        hits = index.search(question, 1, lambda document: document.subject.route.kind is Kind.TOOL)
        return hits[0].score if hits else 0.0

    async def _newest(self, catalog: Catalog) -> Index[CatalogEntry]:
        """Searches that meet a new catalog together may build its index twice; that costs time and nothing else."""
        if catalog is self._catalog:
            return self._index
        index = await anyio.to_thread.run_sync(_index, catalog)
        self._catalog, self._index = catalog, index
        self._embeddings.want(index.passages)
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
