"""Tools that run only as tasks, called by clients that know no tasks."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from mcp import Client

from tests import fakes
from tests.interaction.asking import text_of
from tests.interaction.house import Door, House, gateway
from tests.interaction.requirements import shows
from tests.interaction.test_midcall import Heard

ROOT = Path(fakes.__file__).parents[2]
DOORS = pytest.mark.parametrize("door", [Door.HTTP_LEGACY, Door.HTTP_MODERN], ids=lambda d: d.name)


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[House]:
    child = {"command": sys.executable, "args": ["-m", "tests.fakes.task_server"], "cwd": str(ROOT), "era": "legacy"}
    async with gateway(folder, {"mcpServers": {"up": child}}) as (app, doors):
        yield House.of(app, doors)


async def seen(client: Client) -> list[str]:
    """The methods that the server has heard of since it listed its tools, this call not counted."""
    methods = text_of(await client.call_tool("up__seen", {})).split()
    return methods[methods.index("tools/list") + 1 : -1]


async def seen_of(method: str, client: Client) -> None:
    """Wait until the server has heard of a method."""
    with anyio.fail_after(10):
        while method not in await seen(client):
            continue


@shows("tasks-driven")
@DOORS
async def test_a_task_is_taken_to_its_end_and_tells_how_it_goes(tmp_path: Path, door: Door) -> None:
    heard = Heard()
    async with home(tmp_path) as there, there.client(door) as client:
        result = await client.call_tool("up__slow", {}, progress_callback=heard.on_progress)
        methods = await seen(client)

    assert text_of(result) == "slow, but done"
    assert heard.progress[:1] == [(1, None, "step 1")]
    assert methods[:3] == ["tools/call", "tools/call", "tasks/result"]


@shows("tasks-driven", "questions", "questions-parked")
@DOORS
async def test_what_a_task_asks_reaches_its_caller(tmp_path: Path, door: Door) -> None:
    heard = Heard()
    async with home(tmp_path) as there, there.client(door, **heard.answering) as client:
        result = await client.call_tool("up__asks", {})

    assert text_of(result) == "accept"
    assert heard.questions == ["sure?"]


@shows("tasks-driven", "cancel")
async def test_a_caller_that_gives_up_cancels_the_task(tmp_path: Path) -> None:
    async with home(tmp_path) as there, there.client(Door.HTTP_LEGACY) as client:
        given_up = anyio.CancelScope()

        async def call() -> None:
            with given_up:
                await client.call_tool("up__endless", {})

        async with anyio.create_task_group() as group:
            group.start_soon(call)
            await seen_of("tasks/result", client)
            given_up.cancel()
            await seen_of("tasks/cancel", client)


@shows("tasks-driven", "failure-tool")
async def test_a_server_that_makes_no_task_is_off_protocol(tmp_path: Path) -> None:
    async with home(tmp_path) as there, there.client(Door.HTTP_LEGACY) as client:
        result = await client.call_tool("up__broken", {})

    assert result.is_error
    assert (result.meta or {})["io.mcp-gateway/error"] == {"code": "upstream_protocol_error", "server": "up"}
