"""Which provider answers, and what is said of those that did not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from mcp_gateway.builtin.providers import Source, Web, WebSearch, duckduckgo, sources
from mcp_gateway.errors import SearchUnavailable

from tests.builtin.providers.services import SEARXNG, TAVILY, answering, origin
from tests.fakes.http_server import Request, Wire, scripted

OWN = "tests.builtin.providers.own"


def chain(*providers: Source) -> WebSearch:
    return WebSearch(providers, Web({}))


async def test_the_first_provider_that_answers_is_the_last_that_is_asked() -> None:
    async with scripted(answering(SEARXNG)) as first, scripted(answering(TAVILY)) as second:
        found = await chain(Source("searxng", origin(first)), Source("tavily", origin(second), "key-1")).search(
            ["fox"], 5, 5.0
        )

    assert found.providers == ["searxng"]
    assert second.requests == []


async def test_the_next_provider_answers_for_one_that_fails_and_the_reason_is_kept() -> None:
    async with scripted(answering({}, 403)) as first, scripted(answering(TAVILY)) as second:
        found = await chain(Source("searxng", origin(first)), Source("tavily", origin(second), "key-1")).search(
            ["fox"], 5, 5.0
        )

    assert found.providers == ["tavily"]
    assert [hit.title for hit in found.hits] == ["The fox"]
    assert found.warnings[0].startswith("searxng: HTTP 403: JSON is switched off")


async def test_when_all_fail_each_is_quoted() -> None:
    async with scripted(answering({}, 403)) as first, scripted(answering({}, 401)) as second:
        with pytest.raises(SearchUnavailable) as failure:
            await chain(Source("searxng", origin(first)), Source("tavily", origin(second), "key-1")).search(
                ["fox"], 5, 5.0
            )

    assert "searxng: HTTP 403" in failure.value.message
    assert "tavily: HTTP 401: its api_key was refused" in failure.value.message
    assert "key-1" not in failure.value.message


async def test_without_a_provider_the_ways_to_get_one_are_named() -> None:
    with pytest.raises(SearchUnavailable, match="SEARXNG_URL, BRAVE_API_KEY, TAVILY_API_KEY"):
        await chain().search(["fox"], 5, 5.0)


async def test_several_queries_are_under_way_together_and_merge() -> None:
    together, arrived = anyio.Event(), []

    async def script(request: Request, wire: Wire) -> None:
        query = parse_qs(urlsplit(request.target).query)["q"][0]
        arrived.append(query)
        if len(arrived) == 2:
            together.set()
        await together.wait()
        await wire.json({"results": [{"title": query, "url": f"https://{query}.example/"}]})

    async with scripted(script) as server:
        with anyio.fail_after(5):
            found = await chain(Source("searxng", origin(server))).search(["fox", "dog"], 5, 5.0)

    assert [hit.title for hit in found.hits] == ["fox", "dog"]


async def test_a_query_that_is_late_leaves_the_others_their_results() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if "slow" in request.target:
            await anyio.sleep_forever()
        await wire.json(SEARXNG)

    async with scripted(script) as server:
        found = await chain(Source("searxng", origin(server), timeout_s=9.0)).search(["fox", "slow"], 5, 0.5)

    assert len(found.hits) == 2
    assert "no answer within 0.5 s" in found.warnings


async def test_a_provider_of_the_operators_own_is_asked_like_any_other() -> None:
    found = await chain(Source(f"{OWN}:library")).search(["fox"], 5, 5.0)

    assert [(hit.title, hit.source) for hit in found.hits] == [("About fox", "library.example")]


@pytest.mark.parametrize(
    ("path", "error"), [(f"{OWN}:broken", "KeyError"), (f"{OWN}:absent", "AttributeError"), ("nowhere:x", "ModuleNot")]
)
async def test_an_own_provider_that_breaks_is_a_failure_that_shows_no_more_than_its_kind(path: str, error: str) -> None:
    with pytest.raises(SearchUnavailable, match=error) as failure:
        await chain(Source(path)).search(["fox"], 5, 5.0)

    assert "secret" not in failure.value.message


def test_configured_providers_are_used_as_they_are() -> None:
    configured = [Source("brave", api_key="a"), Source("tavily", api_key="b")]

    assert sources(configured, {"SEARXNG_URL": "http://127.0.0.1"}) == tuple(configured)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TAVILY_API_KEY": "t", "BRAVE_API_KEY": "b"}, Source("brave", api_key="b")),
        ({"TAVILY_API_KEY": "t"}, Source("tavily", api_key="t")),
        ({"SEARXNG_URL": "http://s", "BRAVE_API_KEY": "b"}, Source("searxng", url="http://s")),
    ],
)
def test_the_environment_makes_one_provider_available(environ: Mapping[str, str], expected: Source) -> None:
    assert sources((), environ) == (expected,)


def test_an_empty_variable_makes_none_available() -> None:
    fallback = (Source("ddgs"),) if duckduckgo.installed() else ()

    assert sources((), {"BRAVE_API_KEY": ""}) == fallback


async def test_ddgs_answers_or_says_why_it_cannot() -> None:
    reasons = "engines refuse|no answer within" if duckduckgo.installed() else r"pip install '.*\[ddgs\]'"

    try:
        said = ", ".join((await chain(Source("ddgs", timeout_s=5.0)).search(["fox"], 3, 10.0)).providers)
    except SearchUnavailable as failure:
        said = failure.message

    assert re.search(f"^ddgs$|{reasons}", said)
