"""SearXNG: its shape, and the ways it fails."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from mcp_gateway.builtin.providers import Hit, ProviderFailed, Source, Web
from mcp_gateway.builtin.providers.searxng import searxng

from tests.builtin.providers.services import QUERY, SEARXNG, answering, ask, origin
from tests.fakes.http_server import scripted


async def test_results_are_read_with_their_engine_score_and_date() -> None:
    async with scripted(answering(SEARXNG)) as server:
        page = await ask(searxng, origin(server))

    assert page.hits == (
        Hit(
            "The <b>fox</b>",
            "https://example.com/fox",
            "A quick brown fox.",
            "mojeek",
            "2026-01-02T00:00:00",
            1.5,
        ),
        Hit("The dog", "https://example.org/dog"),
    )


async def test_json_is_asked_for_under_search() -> None:
    async with scripted(answering(SEARXNG)) as server:
        await ask(searxng, f"{origin(server)}/searx/")

    target = urlsplit(server.requests[0].target)
    assert target.path == "/searx/search"
    assert parse_qs(target.query) == {"q": [QUERY.text], "format": ["json"]}


async def test_an_address_that_ends_in_search_is_taken_as_it_is() -> None:
    async with scripted(answering(SEARXNG)) as server:
        await ask(searxng, f"{origin(server)}/search")

    assert urlsplit(server.requests[0].target).path == "/search"


async def test_an_instant_answer_and_silent_engines_are_passed_on() -> None:
    async with scripted(answering(SEARXNG)) as server:
        page = await ask(searxng, origin(server))

    assert page.answer == "A pangram."
    assert page.warnings == ("engine did not answer: google: timeout",)


async def test_an_older_version_gives_its_answer_as_plain_text() -> None:
    async with scripted(answering({"results": [], "answers": ["42"]})) as server:
        page = await ask(searxng, origin(server))

    assert page.answer == "42"


async def test_a_server_that_does_not_allow_json_gets_its_cure_named() -> None:
    async with scripted(answering({}, 403)) as server:
        with pytest.raises(ProviderFailed, match=r"add `json` to `search.formats`"):
            await ask(searxng, origin(server))


async def test_its_limiter_gets_its_cure_named() -> None:
    async with scripted(answering({}, 429)) as server:
        with pytest.raises(ProviderFailed, match=r"limiter\.toml"):
            await ask(searxng, origin(server))


async def test_a_missing_address_is_named() -> None:
    with pytest.raises(ProviderFailed, match="it has no url"):
        await searxng(Source("searxng"), QUERY, Web({}))


@pytest.mark.parametrize("body", [[], {"results": 7}, {"results": [1, {"url": 3}], "unresponsive_engines": ["x"]}])
async def test_an_answer_of_another_shape_is_no_failure(body: object) -> None:
    async with scripted(answering(body)) as server:
        page = await ask(searxng, origin(server))

    assert [hit.url for hit in page.hits if hit.url] == []
