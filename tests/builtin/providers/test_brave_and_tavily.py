"""Brave and Tavily: their shapes, their keys, and the ways they fail."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from mcp_gateway.builtin.providers import Hit, Provider, ProviderFailed, Query, Source, Web
from mcp_gateway.builtin.providers.brave import brave
from mcp_gateway.builtin.providers.tavily import tavily

from tests.builtin.providers.services import BRAVE, QUERY, TAVILY, answering, ask, origin
from tests.fakes.http_server import scripted


async def test_brave_results_are_read() -> None:
    async with scripted(answering(BRAVE)) as server:
        page = await ask(brave, origin(server))

    assert page.hits == (
        Hit(
            "The fox",
            "https://example.com/fox",
            "A <strong>quick</strong> brown fox",
            "Example",
            "2026-01-02T00:00:00",
        ),
    )


async def test_brave_gets_its_key_in_its_own_header() -> None:
    async with scripted(answering(BRAVE)) as server:
        await ask(brave, origin(server), Query("fox", 99))

    request = server.requests[0]
    assert request.header("x-subscription-token") == "key-1"
    assert parse_qs(urlsplit(request.target).query) == {"q": ["fox"], "count": ["20"]}


async def test_tavily_results_and_its_answer_are_read() -> None:
    async with scripted(answering(TAVILY)) as server:
        page = await ask(tavily, origin(server))

    assert page.hits == (Hit("The fox", "https://example.com/fox", "A quick brown fox", score=0.9),)
    assert page.answer == "A pangram."


async def test_tavily_gets_its_key_as_a_bearer_token() -> None:
    async with scripted(answering(TAVILY)) as server:
        await ask(tavily, origin(server))

    request = server.requests[0]
    assert (request.verb, request.header("authorization")) == ("POST", "Bearer key-1")
    assert request.json == {"query": QUERY.text, "max_results": QUERY.limit}


@pytest.mark.parametrize("provider", [brave, tavily])
@pytest.mark.parametrize(("status", "reason"), [(401, "api_key was refused"), (500, "HTTP 500"), (429, "rate limit")])
async def test_a_refusal_says_what_it_means(provider: Provider, status: int, reason: str) -> None:
    async with scripted(answering({"detail": "no"}, status)) as server:
        with pytest.raises(ProviderFailed, match=reason):
            await ask(provider, origin(server))


async def test_a_rate_limit_says_how_long_to_wait() -> None:
    async with scripted(answering({}, 429, retry_after="30")) as server:
        with pytest.raises(ProviderFailed, match="wait 30 s"):
            await ask(brave, origin(server))


async def test_the_end_of_a_plan_is_named() -> None:
    async with scripted(answering({}, 432)) as server:
        with pytest.raises(ProviderFailed, match="limit of its plan"):
            await ask(tavily, origin(server))


@pytest.mark.parametrize("provider", [brave, tavily])
async def test_a_missing_key_is_named(provider: Provider) -> None:
    with pytest.raises(ProviderFailed, match="it has no api_key"):
        await provider(Source("test", "http://127.0.0.1:9"), QUERY, Web({}))


def test_a_source_does_not_show_its_key() -> None:
    assert "key-1" not in repr(Source("brave", api_key="key-1"))
