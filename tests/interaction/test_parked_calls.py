"""Stateless clients in front of servers that ask in mid-call: the call waits, the next request goes on with it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import mcp_types as types
import pytest
from mcp import Client

from tests import fakes
from tests.fakes.asking_server import Asking
from tests.fakes.everything import sse_app
from tests.interaction.asking import text_of
from tests.interaction.house import Door, House, gateway, house, served
from tests.interaction.requirements import shows
from tests.interaction.test_midcall import Heard

ASKING = Path(fakes.__file__).with_name("asking_server.py")
CHILD = {"command": sys.executable, "args": [str(ASKING), "--legacy"], "era": "legacy"}
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # the upstream logs

MODERN_DOORS = pytest.mark.parametrize("door", [Door.STDIO_MODERN, Door.HTTP_MODERN], ids=lambda d: d.name)
FORMS: dict[str, Any] = {"elicitation": {"form": {}}}
YES = {"action": "accept", "content": {"name": "Ada"}}


class Answering(Heard):
    """Answers everything, in the order it was asked."""

    async def on_elicitation(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.questions.append(params.message)
        is_form = isinstance(params, types.ElicitRequestFormParams)
        return types.ElicitResult(action="accept", content={"name": "Ada"} if is_form else None)


@asynccontextmanager
async def over_stdio(folder: Path) -> AsyncIterator[House]:
    async with gateway(folder, {"mcpServers": {"up": CHILD}}) as (app, doors):
        yield House.of(app, doors)


@asynccontextmanager
async def over_sse(folder: Path) -> AsyncIterator[House]:
    everything = Asking()
    async with served(sse_app(everything.server())) as up:
        servers = {"up": {"url": f"{up.origin}/sse", "type": "sse"}}
        async with gateway(folder, {"mcpServers": servers}) as (app, doors):
            yield House(everything, app, doors, up)


def over_http(folder: Path) -> AbstractAsyncContextManager[House]:
    return house(folder, everything=Asking())


Far = Callable[[Path], AbstractAsyncContextManager[House]]


@pytest.fixture(params=[over_stdio, over_http, over_sse], ids=["stdio", "http", "sse"])
def far(request: pytest.FixtureRequest) -> Far:
    reached: Far = request.param
    return reached


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with over_http(tmp_path) as running:
        yield running


async def called(client: Client) -> int:
    """How many calls have reached the upstream, this one not counted."""
    counted = (await client.call_tool("up__count", {})).structured_content or {}
    calls: int = counted["calls"] - 1
    return calls


@shows("questions-parked")
@MODERN_DOORS
async def test_a_tool_that_asks_several_times_runs_once(tmp_path: Path, far: Far, door: Door) -> None:
    heard = Answering()
    async with far(tmp_path) as home, home.client(door, **heard.answering) as client:
        result = await client.call_tool("up__survey", {})
        calls = await called(client)

    assert text_of(result) == "42 Ada accept"
    assert sorted(heard.questions) == ["sampling", "sure?", "who?"]
    assert calls == 1
