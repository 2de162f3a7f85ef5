"""Calls and questions over a WebSocket, followed while they run."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import fakes
from tests.fakes.odd_server import RESULTS, odd_http
from tests.fakes.openai_server import Refuses, Says, Turn, openai_server
from tests.interaction.asking import until
from tests.interaction.house import FEW_BUILTINS, gateway, house
from tests.interaction.requirements import shows
from tests.interaction.sockets import Socket, code_of, socket, text_of

TOOL_BOX = Path(fakes.__file__).with_name("tool_box.py")
BOX = {"command": sys.executable, "args": [str(TOOL_BOX), "kinds"]}
CALLS = Says("Let me look.", calls=[("box__kinds", {"text": "a"})])
DONE = Says("It says a [call_1].")


def kinds(line: Socket, id: int | str) -> list[str]:
    """The types of the frames of one id, in order."""
    return [frame["type"] for frame in line.heard if frame["id"] == id]


@shows("websocket-progress")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_progress_arrives_in_order_before_the_answer(tmp_path: Path, era: str) -> None:
    async with house(tmp_path, era=era) as home, socket(home.origin) as line:
        answer = await line.call(1, "up__progress")

    assert text_of(answer) == "done"
    assert [frame.get("data") for frame in line.heard[:-1]] == [
        {"progress": step, "total": 3, "message": f"step {step}"} for step in (1, 2, 3)
    ]
    assert kinds(line, 1) == ["progress"] * 3 + ["result"]


@shows("websocket-progress")
async def test_two_calls_hear_their_own_progress(tmp_path: Path) -> None:
    async with house(tmp_path) as home, socket(home.origin) as line:
        for id in ("a", "b"):
            await line.say(id, "call", tool="up__progress")
        for _ in range(8):
            await line.next()

    assert kinds(line, "a") == kinds(line, "b") == ["progress"] * 3 + ["result"]


@shows("heartbeat")
async def test_a_silent_call_shows_signs_of_life(tmp_path: Path) -> None:
    async with house(tmp_path, heartbeat_s=0.1) as home, socket(home.origin) as line:
        await line.call(1, "up__wait", seconds=0.6)

    assert "still running" in line.heard[0]["data"]["message"]


@shows("call-exact")
async def test_a_result_is_what_the_upstream_sent(tmp_path: Path) -> None:
    with odd_http() as url:
        config = {"mcpServers": {"odd": {"url": url, "type": "http"}}, "expose": {"prefix": "never"}}
        async with gateway(tmp_path, config) as (_, doors), socket(doors.origin) as line:
            await line.say(1, "call", tool="rich")
            frame = str(await line.wire.recv())

    assert RESULTS["tools/call rich"].decode() in frame


@asynccontextmanager
async def asking(folder: Path, script: Sequence[Turn]) -> AsyncIterator[Socket]:
    """A socket to a gateway with a tool box and a model that follows the script."""
    async with openai_server(script) as model:
        config: dict[str, Any] = {
            "mcpServers": {"box": BOX},
            "llm": {"base_url": model.url, "model": "parrot"},
            "tools": {**FEW_BUILTINS, "ask": {"enabled": True}},
        }
        async with gateway(folder, config) as (_, doors), socket(doors.origin) as line:
            yield line


@shows("websocket-ask")
async def test_a_question_is_answered_and_followed(tmp_path: Path) -> None:
    async with asking(tmp_path, [CALLS, DONE]) as line:
        answer = await line.ask("q", "ask", question="what does it say?", tools=["box__kinds"], confirm="auto")

    data = {frame["type"]: frame["data"] for frame in line.heard if "data" in frame}
    assert answer["result"]["answer"] == "It says a [call_1]."
    assert answer["result"]["tool_calls"][0]["tool"] == "box__kinds"
    assert (data["tool_call"]["id"], data["tool_call"]["tool"]) == ("call_1", "box__kinds")
    assert (data["tool_result"]["id"], data["tool_result"]["ok"]) == ("call_1", True)
    assert "".join(f["data"]["text"] for f in line.heard if f["type"] == "delta").endswith("It says a [call_1].")
    order = kinds(line, "q")
    assert order.index("tool_call") < order.index("tool_result") < order.index("result") == len(order) - 1


@shows("websocket-ask")
async def test_what_needs_a_persons_word_is_not_done_where_nobody_can_be_asked(tmp_path: Path) -> None:
    async with asking(tmp_path, [CALLS, DONE]) as line:
        answer = await line.ask("q", "ask", question="what does it say?", tools=["box__kinds"])

    assert answer["result"]["stop_reason"] == "denied"
    assert "box__kinds" in json.dumps(answer["result"])


@shows("websocket-ask")
async def test_a_model_that_refuses_is_an_error_with_what_there_is(tmp_path: Path) -> None:
    async with asking(tmp_path, [Refuses(401)]) as line:
        answer = await line.ask("q", "ask", question="?")
        bad = await line.ask("r", "ask", question="?", colour="red")

    assert code_of(answer) == "model_refused"
    assert answer["error"]["details"]["result"]["stop_reason"] == "llm_error"
    assert code_of(bad) == "invalid_params"


@shows("websocket-ask", "cancel")
async def test_a_question_can_be_taken_back(tmp_path: Path) -> None:
    async with house(tmp_path) as home, openai_server([Says(calls=[("up__wait", {})])]) as model:
        config: dict[str, Any] = {
            "mcpServers": {"up": {"url": f"{home.upstream.origin}/mcp", "type": "http"}},
            "llm": {"base_url": model.url, "model": "parrot"},
            "tools": {**FEW_BUILTINS, "ask": {"enabled": True}},
        }
        async with gateway(tmp_path / "asking", config) as (_, doors), socket(doors.origin) as line:
            await line.say("q", "ask", question="?", tools=["up__wait"], confirm="auto")
            await until(lambda: home.everything.calls == 1)
            await line.say("q", "cancel")
            answer = await line.end_of("q")
            await until(lambda: home.everything.cancelled == 1)

    assert code_of(answer) == "cancelled"
