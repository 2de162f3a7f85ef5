"""Searching the catalog by words, and by meaning where a model knows the words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp_gateway.builtin.catalog_search import MIXED_AT_ONCE, CatalogSearch
from mcp_gateway.catalog import Catalog, Kind, Offer, Part
from mcp_gateway.events import CatalogChanged
from mcp_gateway.llm import Capabilities, LLMResponse, LLMService, Request
from mcp_gateway.llm.embeddings import Embeddings
from mcp_gateway.wire import Raw, encode

WEATHER = {"name": "forecast", "description": "Rain and temperature"}
MAIL = {"name": "send", "description": "A letter to somebody"}
UMBRELLA = "do I take an umbrella"


class Wise(LLMService):
    """A provider that knows what umbrellas are for."""

    capabilities = Capabilities(embeddings=True)

    async def complete(self, request: Request) -> LLMResponse:
        return LLMResponse("")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.1] if "Rain" in text or "umbrella" in text else [0.1, 1.0] for text in texts]


class Ignorant(Wise):
    capabilities = Capabilities()


def catalog(*tools: dict[str, str]) -> Catalog:
    raw = tuple(
        {key: Raw(encode(value)) for key, value in {**tool, "inputSchema": {"type": "object"}}.items()}
        for tool in tools
    )
    return Catalog.build([Offer("box", "2025-11-25", (Part(Kind.TOOL, raw),))])


@dataclass(slots=True)
class Desk:
    service: LLMService
    catalog: Catalog
    search: CatalogSearch = field(init=False)

    def __post_init__(self) -> None:
        self.search = CatalogSearch(Embeddings(lambda: self.service))

    async def found(self, query: str) -> list[str | None]:
        hits = await self.search.search(self.catalog, (Kind.TOOL,), [query], 1, lambda route: True)
        return [hit.tool for hit in hits]

    async def until(self, query: str, expected: list[str | None]) -> None:
        while await self.found(query) != expected:
            await checkpoint()


@asynccontextmanager
async def desk(service: LLMService, *tools: dict[str, str]) -> AsyncIterator[Desk]:
    there = Desk(service, catalog(*tools))

    def current() -> Catalog:
        return there.catalog

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(there.search.run, current)
            yield there
            group.cancel_scope.cancel()


@pytest.mark.parametrize("others", [0, MIXED_AT_ONCE])
async def test_what_shares_no_word_is_found_by_meaning(others: int) -> None:
    more = [{"name": f"other{number}", "description": "Something else"} for number in range(others)]
    async with desk(Wise(), WEATHER, MAIL, *more) as there:
        await there.until(UMBRELLA, ["forecast"])


async def test_a_changed_catalog_is_embedded_before_anybody_searches() -> None:
    async with desk(Wise(), MAIL) as there:
        there.catalog = catalog(MAIL, WEATHER)
        there.search.hear(CatalogChanged(frozenset({"tools"})))
        await there.until(UMBRELLA, ["forecast"])


async def test_a_model_that_comes_later_is_used() -> None:
    async with desk(Ignorant(), WEATHER, MAIL) as there:
        assert await there.found(UMBRELLA) == []
        there.service = Wise()
        there.search.renew()
        await there.until(UMBRELLA, ["forecast"])


async def test_meaning_does_not_make_a_question_one_for_tools() -> None:
    async with desk(Wise(), WEATHER, MAIL) as there:
        await there.until(UMBRELLA, ["forecast"])
        assert await there.search.score(there.catalog, UMBRELLA) == 0
        assert await there.search.score(there.catalog, "rain") > 0
