"""Vectors are made in the background, kept while they are wanted, and done without while the service fails."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp_gateway.errors import ModelRefused, ModelUnavailable
from mcp_gateway.llm import Capabilities, LLMResponse, LLMService, Request
from mcp_gateway.llm.embeddings import BATCH, QUERY_WITHIN_S, TEXT_BYTES, Embeddings
from mcp_gateway.retrieval import Vectors

SOON_S = 0.01
"""The first pause after a failure, so that tests need not wait."""


class Speller(LLMService):
    """A provider of one's own: the vector of a text is its number of characters, and 1."""

    capabilities = Capabilities(embeddings=True)

    def __init__(self, failure: Exception | None = None, size: int = 2) -> None:
        super().__init__()
        self.failure = failure
        self.size = size
        self.asked: list[Sequence[str]] = []
        self.answers = anyio.Event()
        self.answers.set()
        self.was_asked = anyio.Event()

    async def complete(self, request: Request) -> LLMResponse:
        return LLMResponse("")

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.asked.append(texts)
        self.was_asked.set()
        await self.answers.wait()
        if self.failure is not None:
            raise self.failure
        return [[float(len(text)), 1.0, 1.0][: self.size] for text in texts]


class Mute(Speller):
    capabilities = Capabilities()


@dataclass(slots=True)
class Desk:
    """Embeddings at work; `service` is the one in force."""

    service: Speller
    embeddings: Embeddings = field(init=False)

    def __post_init__(self) -> None:
        self.embeddings = Embeddings(lambda: self.service, first_pause_s=SOON_S)

    async def vectors(self, *queries: str) -> Vectors:
        """Once there are some."""
        while (found := await self.embeddings.vectors(queries)) is None:
            await checkpoint()
        return found

    def replace(self, service: Speller) -> None:
        self.service = service
        self.embeddings.renew()


@asynccontextmanager
async def desk(service: Speller, *passages: str) -> AsyncIterator[Desk]:
    there = Desk(service)
    there.embeddings.want(passages)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(there.embeddings.run)
            yield there
            group.cancel_scope.cancel()


async def test_passages_and_queries_have_vectors_of_length_1() -> None:
    async with desk(Speller(), "abc") as there:
        vectors = await there.vectors("query")
    for text in ("abc", "query"):
        vector = vectors(text)
        assert vector is not None
        assert math.hypot(*vector) == pytest.approx(1)
        assert vector[0] / vector[1] == pytest.approx(len(text))
    assert vectors("unknown") is None


async def test_nobody_waits_for_passages() -> None:
    service = Speller()
    service.answers = anyio.Event()
    async with desk(service, "abc") as there:
        await service.was_asked.wait()
        assert await there.embeddings.vectors(["query"]) is None
        assert service.asked == [["abc"]]


async def test_a_service_without_embeddings_is_never_asked() -> None:
    service = Mute()
    async with desk(service, "abc") as there:
        await anyio.wait_all_tasks_blocked()
        assert await there.embeddings.vectors(["query"]) is None
    assert service.asked == []


async def test_passages_come_in_batches() -> None:
    service = Speller()
    async with desk(service, *(f"passage {number}" for number in range(BATCH + 1))):
        await anyio.wait_all_tasks_blocked()
    assert [len(texts) for texts in service.asked] == [BATCH, 1]


async def test_a_changed_catalog_embeds_only_what_is_new_and_lets_go_of_the_rest() -> None:
    service = Speller()
    async with desk(service, "a", "bb") as there:
        await anyio.wait_all_tasks_blocked()
        there.embeddings.want(["bb", "ccc"])
        await anyio.wait_all_tasks_blocked()
        vectors = await there.vectors("q")
    assert service.asked[:2] == [["a", "bb"], ["ccc"]]
    assert [vectors(text) is not None for text in ("a", "bb", "ccc")] == [False, True, True]


async def test_a_catalog_that_changes_meanwhile_is_next() -> None:
    service = Speller()
    service.answers = anyio.Event()
    async with desk(service, "a") as there:
        await service.was_asked.wait()
        there.embeddings.want(["bb"])
        service.answers.set()
        await anyio.wait_all_tasks_blocked()
    assert service.asked == [["a"], ["bb"]]


async def test_a_long_text_is_cut() -> None:
    service = Speller()
    async with desk(service, "x" * 10_000):
        await anyio.wait_all_tasks_blocked()
    assert [len(text.encode()) for text in service.asked[0]] == [TEXT_BYTES]


@pytest.mark.parametrize("failure", [ModelUnavailable("down"), ModelRefused("no"), RuntimeError("oh")])
async def test_a_failing_service_is_tried_until_it_is_back(
    failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    service = Speller(failure)
    async with desk(service, "abc") as there:
        while len(service.asked) < 3:
            service.was_asked = anyio.Event()
            await service.was_asked.wait()
        assert await there.embeddings.vectors(["query"]) is None
        service.failure = None
        assert (await there.vectors("query"))("abc") is not None
    assert len([record for record in caplog.records if "embeddings.failed" in record.message]) == 1


async def test_a_provider_that_cannot_be_prepared_ends_nothing() -> None:
    class Unready(Speller):
        async def prepare(self) -> None:
            raise RuntimeError("not today")

    async with desk(Unready(), "abc") as there:
        await anyio.wait_all_tasks_blocked()
        assert await there.embeddings.vectors(["query"]) is None
        there.replace(Speller())
        await there.vectors("query")


async def test_a_query_that_fails_is_answered_by_words_and_so_are_others_until_it_works() -> None:
    service = Speller()
    async with desk(service, "abc") as there:
        await there.vectors("first")
        service.failure = ModelUnavailable("down")
        assert await there.embeddings.vectors(["second"]) is None
        assert await there.embeddings.vectors(["third"]) is None
        assert ["third"] not in service.asked
        service.failure = None
        await there.vectors("third")
    assert service.asked.count(["second"]) >= 2


async def test_a_slow_query_is_not_waited_for() -> None:
    service = Speller()
    async with desk(service, "abc") as there:
        await there.vectors("first")
        service.answers = anyio.Event()
        with anyio.fail_after(QUERY_WITHIN_S + 1):
            assert await there.embeddings.vectors(["second"]) is None


async def test_another_service_begins_anew() -> None:
    async with desk(Speller(), "abc") as there:
        await there.vectors("q")
        there.replace(Speller(size=3))
        vector = (await there.vectors("q"))("abc")
    assert vector is not None
    assert len(vector) == 3


async def test_another_service_is_not_blamed_for_the_last_one() -> None:
    failing, working = Speller(ModelUnavailable("down")), Speller()
    failing.answers = anyio.Event()
    async with desk(failing, "abc") as there:
        await failing.was_asked.wait()
        there.replace(working)
        failing.answers.set()
        await there.vectors("q")
    assert working.asked[0] == ["abc"]


@pytest.mark.parametrize("size", [0, 3])
async def test_vectors_that_cannot_be_compared_are_a_failure(size: int) -> None:
    service = Speller()
    async with desk(service, "abc") as there:
        await there.vectors("q")
        service.size = size
        assert await there.embeddings.vectors(["other"]) is None
