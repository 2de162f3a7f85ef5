"""Calls of tools: their results, and how they fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway.errors import ERROR_META_KEY

from tests.interaction.asking import error_of, text_of
from tests.interaction.conftest import Connect
from tests.interaction.house import Door, house
from tests.interaction.requirements import shows


@shows("call")
async def test_a_call_is_answered_by_the_upstream(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("up__echo", {"text": "hello"})

    assert text_of(result) == "hello"
    assert result.structured_content == {"echoed": {"text": "hello"}, "none": None, "one": 1.0}
    assert result.meta is None or ERROR_META_KEY not in result.meta


@shows("call")
async def test_a_builtin_is_called_like_any_tool(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("sysinfo", {})

    assert not result.is_error


@shows("call")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_clients_of_both_eras_call_upstreams_of_both(tmp_path: Path, door: Door, era: str) -> None:
    async with house(tmp_path, era=era) as home, home.client(door) as client:
        result = await client.call_tool("up__echo", {"text": "ü"})

    assert text_of(result) == "ü"
    assert result.structured_content == {"echoed": {"text": "ü"}, "none": None, "one": 1.0}


@shows("call-failing-tool")
async def test_a_tools_own_failure_is_passed_on(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("up__fail", {})

    assert result.is_error
    assert text_of(result) == "it went wrong"
    assert ERROR_META_KEY not in (result.meta or {})


@shows("unknown-name")
async def test_an_unknown_tool_is_refused_and_the_nearest_named(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("up__ehco", {})

    code, message, data = error_of(refused.value)
    assert (code, data) == (-32602, {"code": "unknown_name"})
    assert "did you mean 'up__echo'?" in message


@shows("unknown-name")
async def test_an_unknown_prompt_and_resource_are_refused(connect: Connect) -> None:
    async with connect() as client:
        for attempt, where in (
            (client.get_prompt("up__gret", {}), {}),
            (client.read_resource("no://"), {"uri": "no://"}),
        ):
            with pytest.raises(MCPError) as refused:
                await attempt
            assert error_of(refused.value)[2] == {"code": "unknown_name", **where}


@shows("failure-tool")
async def test_a_call_that_fails_on_the_way_is_an_error_result_with_a_code(tmp_path: Path, door: Door) -> None:
    async with house(tmp_path, era="legacy") as home, home.client(door) as client:
        await home.upstream.stop()
        result = await client.call_tool("up__echo", {"text": "?"})

    assert result.is_error
    assert (result.meta or {})[ERROR_META_KEY]["server"] == "up"
    assert (result.meta or {})[ERROR_META_KEY]["code"].startswith("upstream_")


@shows("failure-other")
async def test_another_method_that_fails_on_the_way_has_a_code(tmp_path: Path, door: Door) -> None:
    async with house(tmp_path, era="legacy") as home, home.client(door) as client:
        await home.upstream.stop()
        with pytest.raises(MCPError) as refused:
            await client.get_prompt("up__greet", {"who": "?"})

    code, _, data = error_of(refused.value)
    assert code == -32603
    assert data["server"] == "up"
    assert data["code"].startswith("upstream_")
