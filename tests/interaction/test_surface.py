"""Search mode: what is listed, who gets it, and calls of what is not listed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_gateway.call import Mode, Selection

from tests.interaction.asking import error_of, text_of, until
from tests.interaction.conftest import Connect
from tests.interaction.crowd import TOOLS, Crowd
from tests.interaction.house import Door, House, house
from tests.interaction.requirements import shows

SURFACE = ["search_tools", "describe_tools", "call_tool", "read_tool"]
PINNED = "up__paint_7"
LEGACY = {"client_info": types.Implementation(name="picky", version="1")}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway in front of 60 tools; a client called `picky` wants all of them."""
    expose = {"pinned": [PINNED], "clients": {"picky": {"mode": "all"}}}
    async with house(tmp_path, everything=Crowd(), expose=expose) as running:
        yield running


async def listed(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]


@shows("search-mode", "search-mode-when")
async def test_a_list_too_long_gives_way_to_search(connect: Connect) -> None:
    async with connect() as client:
        assert await listed(client) == [*SURFACE, "sysinfo", PINNED]


@shows("search-mode")
async def test_the_descriptions_name_what_is_behind_them(connect: Connect) -> None:
    async with connect() as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    for name in SURFACE:
        description = tools[name].description or ""
        assert f"{TOOLS} tools of 1 servers: up ({TOOLS})." in description
        assert len(description.encode()) <= 2000
    read, call = tools["read_tool"].annotations, tools["call_tool"].annotations
    assert read is not None
    assert call is not None
    assert (read.read_only_hint, call.read_only_hint, call.destructive_hint) == (True, False, True)


@shows("search-mode")
async def test_prompts_and_resources_are_listed_all_the_same(connect: Connect) -> None:
    async with connect() as client:
        assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["up__greet"]
        assert len((await client.list_resources()).resources) == 1
        assert len((await client.list_resource_templates()).resource_templates) == 1


@shows("search-mode")
async def test_tools_are_found_described_and_called(connect: Connect) -> None:
    async with connect() as client:
        found = await client.call_tool("search_tools", {"queries": ["paint wall 41", "count"], "limit": 3})
        hits = {hit["name"]: hit for hit in (found.structured_content or {})["results"]}
        described = await client.call_tool("describe_tools", {"names": ["up__paint_41", "up__pant_41"]})
        called = await client.call_tool("call_tool", {"name": "up__paint_41", "arguments": {"text": "done"}})

    assert {"up__paint_41", "up__count"} <= hits.keys()
    assert (hits["up__count"]["read_only"], hits["up__paint_41"]["read_only"]) == (True, False)
    assert "up__count()" in text_of(found)
    assert "(read-only)" in text_of(found)
    structured = described.structured_content or {}
    assert [tool["description"] for tool in structured["tools"]] == ["Paint wall 41."]
    assert structured["unknown"] == [{"name": "up__pant_41", "did_you_mean": "up__paint_41"}]
    assert text_of(called) == "done"


@shows("search-mode-calls")
async def test_a_hidden_tool_is_called_by_its_name(connect: Connect) -> None:
    async with connect() as client:
        assert text_of(await client.call_tool("up__echo", {"text": "hello"})) == "hello"


@shows("search-mode-calls")
@pytest.mark.parametrize("tool", ["echo", "fail"])
async def test_a_result_is_that_of_a_direct_call(connect: Connect, tool: str) -> None:
    async with connect() as client:
        direct = await client.call_tool(f"up__{tool}", {"text": "hello"})
        through = await client.call_tool("call_tool", {"name": f"up__{tool}", "arguments": {"text": "hello"}})

    assert through == direct


@shows("search-mode-calls")
async def test_progress_arrives_through_call_tool(connect: Connect) -> None:
    steps: list[float] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        steps.append(progress)

    async with connect() as client:
        result = await client.call_tool("call_tool", {"name": "up__progress"}, progress_callback=heard)
        await until(lambda: len(steps) >= 3)

    assert text_of(result) == "done"
    assert [step for step in steps if step == int(step) and step > 0] == [1, 2, 3]


@shows("search-mode-calls")
async def test_a_cancelled_call_tool_ends_upstream(connect: Connect, home: House) -> None:
    async with connect() as client:
        with anyio.move_on_after(0.3):
            await client.call_tool("call_tool", {"name": "up__wait", "arguments": {"seconds": 60}})
        await until(lambda: home.everything.cancelled == 1)


@shows("search-mode-calls")
async def test_a_question_reaches_the_caller_through_call_tool(tmp_path: Path, door: Door) -> None:
    async def answer(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    era = "modern" if door.modern else "legacy"
    async with house(tmp_path, era=era) as home, home.client(door, elicitation_callback=answer) as client:
        direct = await client.call_tool("up__elicit", {})
        through = await client.call_tool("call_tool", {"name": "up__elicit"})

    assert through == direct


@shows("search-mode-calls")
@pytest.mark.parametrize("name", ["up__ecko", "nowhere", *SURFACE])
@pytest.mark.parametrize("outer", ["call_tool", "read_tool"])
async def test_an_unknown_name_is_refused_as_in_a_direct_call(connect: Connect, outer: str, name: str) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as through:
            await client.call_tool(outer, {"name": name})

    code, message, data = error_of(through.value)
    assert (code, data) == (-32602, {"code": "unknown_name"})
    assert message == f"Unknown tool: {name}" + ("; did you mean 'up__echo'?" if name == "up__ecko" else "")


@shows("search-mode-calls")
async def test_read_tool_calls_only_what_reads(connect: Connect, home: House) -> None:
    async with connect() as client:
        assert text_of(await client.call_tool("read_tool", {"name": "up__count"})) == "counted"
        before = home.everything.calls
        with pytest.raises(MCPError) as refused:
            await client.call_tool("read_tool", {"name": "up__echo"})

    assert error_of(refused.value)[:2] == (-32602, "up__echo does not say that it only reads; use call_tool")
    assert home.everything.calls == before


@shows("search-mode-calls")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({}, "name"), ({"name": 1}, "name"), ({"name": "a", "arguments": []}, "arguments"), ({"name": "a", "x": 1}, "x")],
)
async def test_a_call_tool_that_holds_no_call_is_refused(
    connect: Connect, arguments: dict[str, Any], reason: str
) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("call_tool", arguments)

    code, message, _ = error_of(refused.value)
    assert code == -32602
    assert message.startswith("call_tool: ")
    assert reason in message


@shows("search-mode-when")
async def test_a_name_chooses_the_mode_of_a_session_only(connect: Connect, door: Door) -> None:
    async with connect(**LEGACY) as client:
        names = await listed(client)

    assert (names[:4] == SURFACE) == door.modern


HTTP_DOORS = pytest.mark.parametrize("door", [Door.HTTP_LEGACY, Door.HTTP_MODERN], ids=lambda door: door.name.lower())


@shows("search-mode-when")
@HTTP_DOORS
async def test_an_address_chooses_the_mode(home: House, door: Door) -> None:
    async with home.client(door, address="?mode=all") as client:
        assert len(await listed(client)) == TOOLS + 1
    async with home.client(door, address="?mode=search", **LEGACY) as client:
        assert len(await listed(client)) == len(SURFACE) + 2


@shows("search-mode-when")
async def test_a_flag_chooses_for_addresses_that_do_not(tmp_path: Path, door: Door) -> None:
    chosen = Selection(mode=Mode.ALL)
    async with (
        house(tmp_path, everything=Crowd(), selection=chosen, expose="search") as home,
        home.client(door) as client,
    ):
        assert len(await listed(client)) == TOOLS + 1


@shows("search-mode-when")
async def test_the_file_chooses_for_everybody(tmp_path: Path, door: Door) -> None:
    async with house(tmp_path, expose="search") as home, home.client(door) as client:
        assert (await listed(client))[:4] == SURFACE


@shows("search-mode-when")
@pytest.mark.parametrize("limit", [{"max_tools": 11}, {"max_tokens": 100}])
async def test_either_limit_is_enough_for_search(tmp_path: Path, limit: dict[str, int]) -> None:
    async with house(tmp_path, expose=limit) as home, home.client(Door.HTTP_MODERN) as client:
        assert (await listed(client))[:4] == SURFACE


@shows("search-mode-when")
async def test_a_short_list_is_shown_whole(tmp_path: Path, door: Door) -> None:
    async with house(tmp_path, expose={"max_tools": 12}) as home, home.client(door) as client:
        assert len(await listed(client)) == 12


@shows("search-mode-calls")
async def test_the_four_work_where_they_are_not_listed(tmp_path: Path) -> None:
    async with house(tmp_path) as home, home.client(Door.HTTP_MODERN) as client:
        called = await client.call_tool("call_tool", {"name": "up__echo", "arguments": {"text": "hello"}})
        found = await client.call_tool("search_tools", {"query": "echo"})

    assert text_of(called) == "hello"
    assert (found.structured_content or {})["results"][0]["name"] == "up__echo"
