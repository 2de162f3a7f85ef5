"""What an upstream offers: read whole, kept when reading fails, read again when it changes."""

from __future__ import annotations

import time
from pathlib import Path

import anyio
import pytest
from mcp_gateway.catalog.route import Kind
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.listing import MAX_PAGES

from tests.upstream.dispatch.pipes import until
from tests.upstream.keeping import EAGER, PATIENT, Moody, Watched, defined, everything, kept

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


async def test_every_page_of_a_list_is_read(tmp_path: Path) -> None:
    async with kept(Moody(tmp_path, "pages").definition()) as up:
        await up.ready()
        assert up.tools() == ["tool_0", "tool_1", "tool_2"]


async def test_pages_without_end_are_read_up_to_a_cap(tmp_path: Path) -> None:
    async with kept(Moody(tmp_path, "endless_pages").definition()) as up:
        await up.ready()
        assert len(up.tools()) == MAX_PAGES


async def test_a_cursor_that_repeats_ends_the_reading(tmp_path: Path) -> None:
    far = Moody(tmp_path, "same_cursor")
    async with kept(far.definition()) as up:
        await up.ready()
        assert len(far.received("tools/list")) == 2


async def test_only_what_the_capabilities_declare_is_listed(tmp_path: Path) -> None:
    far = Moody(tmp_path, "modern_only")
    async with kept(far.definition()) as up:
        await up.ready()
        assert set(up.readings[0]) == {Kind.TOOL}
        assert [method for method in far.methods() if method.endswith("/list")] == ["tools/list"]


async def test_one_list_that_fails_does_not_keep_the_others_away(tmp_path: Path) -> None:
    far = Moody(tmp_path, "fails_prompts")
    async with kept(far.definition()) as up:
        await up.ready()
        assert set(up.readings[0]) == {Kind.TOOL, Kind.RESOURCE, Kind.TEMPLATE}
        far.mood("")
        await up.until(lambda: Kind.PROMPT in up.readings[-1])
        assert set(up.readings[-1]) == {Kind.PROMPT}


async def test_an_upstream_of_which_no_list_can_be_read_is_not_ready(tmp_path: Path) -> None:
    far = Moody(tmp_path, "fails_tools fails_prompts fails_resources")
    async with kept(far.definition(restart=PATIENT)) as up:
        await up.state(State.PARKED)
        assert up.readings == []
        assert up.reasons[-1] == "upstream 'up' answered tools/list with an error: the lists are being repaired"


async def test_a_list_that_hangs_fails_the_attempt_at_the_startup_timeout(tmp_path: Path) -> None:
    far = Moody(tmp_path, "hangs_tools")
    async with kept(far.definition(startup_timeout_s=0.5, restart=EAGER)) as up:
        await up.until(lambda: up.agent.failures.get("upstream_timeout") == 1)
        assert up.readings == []
        far.mood("")
        await up.ready()
        assert up.tools() == ["tool_0"]


async def test_a_change_of_tools_reads_the_tools_and_nothing_else(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        far.mood("grown")
        await up.call(announce=1)
        await up.until(lambda: len(up.readings) == 2)
        assert set(up.readings[-1]) == {Kind.TOOL}
        assert up.tools() == ["tool_0", "grown"]


async def test_a_storm_of_changes_is_read_once_a_second(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        began_s = time.monotonic()
        await up.call(announce=1000)
        await up.until(lambda: len(up.readings) == 2)
        far.mood("grown")
        await up.call(announce=1000)
        await up.until(lambda: up.tools() == ["tool_0", "grown"])
        assert len(up.readings) <= 2 + (time.monotonic() - began_s)


async def test_calls_go_on_and_the_end_is_noticed_while_a_changed_list_hangs(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        far.mood("hangs_tools")
        await up.call(announce=1)
        await until(lambda: len(far.received("tools/list")) == 2)
        first = await up.pid()
        far.mood("")
        up.agent.reconnect()
        assert await up.pid() != first


async def test_a_changed_list_that_fails_keeps_the_last_good_one_and_is_read_later(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    async with kept(far.definition()) as up:
        await up.ready()
        far.mood("fails_tools")
        await up.call(announce=1)
        await until(lambda: len(far.received("tools/list")) == 2)
        assert len(up.readings) == 1
        far.mood("grown")
        await up.until(lambda: len(up.readings) == 2)
        assert up.tools() == ["tool_0", "grown"]


@pytest.mark.parametrize("arguments", [[], ["--legacy"]], ids=["modern", "legacy"])
async def test_a_real_servers_new_tool_is_read(arguments: list[str]) -> None:
    async with kept(defined(everything(*arguments))) as up:
        await up.ready()
        before = up.tools()
        await up.call("grow")
        await up.until(lambda: up.tools() != before)
        assert up.tools() == [*before, f"grown_{len(before)}"]


@pytest.mark.parametrize("arguments", [[], ["--legacy"]], ids=["modern", "legacy"])
async def test_updates_of_a_subscribed_resource_are_heard_also_after_a_reconnect(arguments: list[str]) -> None:
    async with kept(defined(everything(*arguments))) as up:
        await up.ready()
        await up.agent.subscribe("test://static")
        for _ in range(2):
            await heard_update(up)
            up.heard.clear()
            up.agent.reconnect()
            await up.ready()


async def heard_update(up: Watched) -> None:
    """Touch the resource until it is heard: a subscription is made again in the background."""
    with anyio.fail_after(10):
        while not up.heard:
            await up.call("touch")
            with anyio.move_on_after(0.2):
                await up.changed.wait()
    assert up.heard[0][0] == "notifications/resources/updated"
    assert up.heard[0][1]["uri"] == "test://static"
