"""`search`: the catalog, the web, and both."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from jsonschema import validate  # type: ignore[import-untyped] # the library has no types
from mcp_gateway.builtin import Builtin, Services
from mcp_gateway.builtin.search import UNTRUSTED, search_tool
from mcp_gateway.call import Call
from mcp_gateway.catalog import Allowed, Catalog, ExposeRules, Kind, Offer, Part, Route
from mcp_gateway.config.parts import SearchTool
from mcp_gateway.errors import InvalidParams, SearchUnavailable
from mcp_gateway.wire import Raw, encode

from tests.builtin.calls import call, use
from tests.builtin.providers.services import SEARXNG, answering, origin
from tests.fakes.http_server import Script, scripted

INPUT = {"type": "object", "properties": {"timezone": {"type": "string"}}, "required": ["timezone"]}
ENTRIES: dict[Kind, list[dict[str, Any]]] = {
    Kind.TOOL: [
        {"name": "get_current_time", "description": "Get the current time\nin a timezone", "inputSchema": INPUT},
        {"name": "convert_time", "description": "Convert time between timezones", "inputSchema": INPUT},
    ],
    Kind.PROMPT: [{"name": "plan_meeting", "arguments": [{"name": "who", "required": True}, {"name": "when"}]}],
    Kind.RESOURCE: [{"uri": "clock://zones", "name": "zones", "description": "All time zones"}],
    Kind.TEMPLATE: [{"uriTemplate": "clock://zone/{name}", "name": "zone", "description": "One time zone"}],
}


def catalog() -> Catalog:
    parts = tuple(
        Part(kind, tuple({key: Raw(encode(value)) for key, value in entry.items()} for entry in entries))
        for kind, entries in ENTRIES.items()
    )
    builtins = [{"name": "execute", "description": "Run a program", "inputSchema": {"type": "object"}}]
    return Catalog.build([Offer("clock", "2025-11-25", parts)], expose=ExposeRules(), builtins=builtins)


CATALOG = catalog()


async def current() -> Catalog:
    return CATALOG


def tool(providers: list[dict[str, Any]] | None = None, allowed: Allowed | None = None) -> Builtin:
    def allow(call: Call) -> Allowed:
        return allowed or (lambda route: True)

    settings = SearchTool.model_validate({"providers": providers or []})
    return search_tool(settings, Services(current, allow, environ={}))


def searxng(url: str) -> list[dict[str, Any]]:
    return [{"type": "searxng", "url": url}]


async def test_a_tool_is_found_with_all_that_is_needed_to_call_it() -> None:
    found = await use(tool(), query="current time", kind="tools")

    assert found["results"][0] == {
        "rank": 1,
        "kind": "tool",
        "name": "clock__get_current_time",
        "server": "clock",
        "tool": "get_current_time",
        "description": "Get the current time",
        "signature": "clock__get_current_time(timezone: string)",
        "score": found["results"][0]["score"],
    }


async def test_a_built_in_tool_is_found_and_belongs_to_no_server() -> None:
    found = await use(tool(), query="run a program", kind="tools")

    assert [(hit["name"], hit["server"]) for hit in found["results"]] == [("execute", None)]


async def test_resources_and_templates_are_found_by_what_reads_them() -> None:
    found = await use(tool(), query="time zones", kind="resources")

    assert [(hit["kind"], hit["name"], hit["tool"]) for hit in found["results"]] == [
        ("resource", "clock://zones", None),
        ("template", "clock://zone/{name}", None),
    ]


async def test_a_prompt_is_found_with_its_arguments() -> None:
    found = await use(tool(), query="meeting", kind="prompts")

    assert [hit["signature"] for hit in found["results"]] == ["clock__plan_meeting(who, when?)"]


async def test_what_the_caller_may_not_use_is_not_found() -> None:
    def only_conversions(route: Route) -> bool:
        return route.name == "convert_time"

    found = await use(tool(allowed=only_conversions), query="time", kind="auto")

    assert [hit["name"] for hit in found["results"]] == ["clock__convert_time"]


async def test_several_queries_merge_into_one_ranking_without_doubles() -> None:
    found = await use(tool(), queries=["convert", "current", "time"], kind="tools")

    assert [(hit["rank"], hit["tool"]) for hit in found["results"]] == [(1, "convert_time"), (2, "get_current_time")]


async def test_the_limit_holds() -> None:
    found = await use(tool(), query="time", limit=1)

    assert len(found["results"]) == 1


async def test_the_index_follows_the_catalog() -> None:
    catalogs = [Catalog.build(()), CATALOG]

    async def next_catalog() -> Catalog:
        return catalogs.pop(0)

    changing = search_tool(SearchTool(), Services(next_catalog, environ={}))

    assert (await use(changing, query="time", kind="tools"))["results"] == []
    assert len((await use(changing, query="time", kind="tools"))["results"]) == 2


async def test_web_results_are_clean_ranked_and_marked_untrusted() -> None:
    async with scripted(answering(SEARXNG)) as server:
        result = await call(tool(searxng(origin(server))), {"query": "fox", "kind": "web"})

    found = result["structuredContent"]
    assert found["results"][0] == {
        "rank": 1,
        "kind": "web",
        "title": "The fox",
        "url": "https://example.com/fox",
        "snippet": "A quick brown fox.",
        "source": "mojeek",
        "published": "2026-01-02T00:00:00",
        "score": 1.5,
    }
    assert (found["provider"], found["answer"], found["untrusted"]) == ("searxng", "A pangram.", True)
    assert found["warnings"] == ["engine did not answer: google: timeout"]
    assert result["content"][0]["text"].startswith(UNTRUSTED)
    assert "[1] The fox (2026-01-02T00:00:00)\n    https://example.com/fox\n" in result["content"][0]["text"]


async def test_auto_shows_the_gateways_own_first_and_then_the_web() -> None:
    async with scripted(answering(SEARXNG)) as server:
        found = await use(tool(searxng(origin(server))), query="time", limit=4)

    assert [(hit["rank"], hit["kind"]) for hit in found["results"]] == [
        (1, "tool"),
        (2, "tool"),
        (3, "web"),
        (4, "web"),
    ]


async def test_auto_survives_a_web_that_fails() -> None:
    async with scripted(answering({}, 403)) as server:
        found = await use(tool(searxng(origin(server))), query="time")

    assert {hit["kind"] for hit in found["results"]} == {"tool", "resource", "template"}
    assert "search.formats" in found["warnings"][0]
    assert found["untrusted"] is False


async def test_auto_that_finds_nothing_says_how_to_search_the_web() -> None:
    result = await call(tool(), {"query": "zebra"})

    assert "no web search provider is configured" in result["structuredContent"]["warnings"][0]
    assert result["content"][0]["text"].startswith("Nothing found.\nNote: no web search provider")


async def test_the_web_without_a_provider_is_an_error_that_helps() -> None:
    with pytest.raises(SearchUnavailable, match=r"tools\.search\.providers"):
        await use(tool(), query="fox", kind="web")


async def test_the_callers_deadline_ends_a_search() -> None:
    async def silent(request: object, wire: object) -> None:

        await anyio.sleep_forever()

    script: Script = silent
    async with scripted(script) as server:
        with pytest.raises(SearchUnavailable, match=r"no answer within 0\.2 s"):
            await call(tool(searxng(origin(server))), {"query": "fox", "kind": "web"}, deadline_s=0.2)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"query": "a", "queries": ["b"]},
        {"query": " "},
        {"query": "x" * 401},
        {"queries": ["a"] * 9},
        {"query": "a", "limit": 21},
        {"query": "a", "limit": 0},
        {"query": "a", "kind": "news"},
        {"query": "a", "page": 2},
    ],
)
async def test_arguments_that_do_not_fit_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams, match=r"^search: "):
        await call(tool(), arguments)


async def test_results_fit_the_schema_they_are_announced_with() -> None:
    async with scripted(answering(SEARXNG)) as server:
        found = await use(tool(searxng(origin(server))), query="time")

    validate(found, tool().definition["outputSchema"])


def test_the_tool_is_said_to_read_only_and_to_look_outside() -> None:
    annotations = tool().definition["annotations"]

    assert (annotations["readOnlyHint"], annotations["openWorldHint"]) == (True, True)
