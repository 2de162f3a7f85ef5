"""What happens while a call runs: progress, log messages, questions, signs of life."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from tests import fakes
from tests.interaction.asking import set_level, text_of
from tests.interaction.conftest import Connect
from tests.interaction.house import Door, House, gateway, house
from tests.interaction.requirements import shows

EVERYTHING = Path(fakes.__file__).with_name("everything.py")
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # the upstream logs

LEGACY_DOORS = pytest.mark.parametrize("door", [Door.STDIO_LEGACY, Door.SSE, Door.HTTP_LEGACY], ids=lambda d: d.name)


class Heard:
    """A client's callbacks, and what they were told."""

    def __init__(self) -> None:
        self.progress: list[tuple[float, float | None, str | None]] = []
        self.logs: list[tuple[str, Any]] = []
        self.questions: list[str] = []

    async def on_progress(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress.append((progress, total, message))

    async def on_log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logs.append((params.level, params.data))

    async def on_sampling(self, context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.questions.append("sampling")
        return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="42"), model="m")

    async def on_elicitation(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.questions.append(params.message)
        return types.ElicitResult(action="accept", content={"name": "Ada"})

    async def on_roots(self, context: Any) -> types.ListRootsResult:
        self.questions.append("roots")
        return types.ListRootsResult(roots=[types.Root.model_validate({"uri": "file:///here"})])

    @property
    def answering(self) -> dict[str, Any]:
        return {
            "sampling_callback": self.on_sampling,
            "elicitation_callback": self.on_elicitation,
            "list_roots_callback": self.on_roots,
        }


@shows("progress")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_progress_arrives_in_order_before_the_answer(tmp_path: Path, door: Door, era: str) -> None:
    heard = Heard()
    async with house(tmp_path, era=era) as home, home.client(door) as client:
        result = await client.call_tool("up__progress", {}, progress_callback=heard.on_progress)
        told_before_the_answer = list(heard.progress)

    assert text_of(result) == "done"
    assert told_before_the_answer == [(1, 3, "step 1"), (2, 3, "step 2"), (3, 3, "step 3")]


@shows("progress")
async def test_two_calls_hear_their_own_progress(connect: Connect) -> None:
    heard = [Heard(), Heard()]
    async with connect() as client, anyio.create_task_group() as group:
        for one in heard:
            group.start_soon(client.call_tool, "up__progress", {}, None, one.on_progress)

    assert [[step for step, _, _ in one.progress] for one in heard] == [[1, 2, 3], [1, 2, 3]]


@shows("progress-unasked")
async def test_no_progress_without_a_token(connect: Connect) -> None:
    messages: list[Any] = []

    async def on_message(message: Any) -> None:
        messages.extend([message] if isinstance(message, types.ProgressNotification) else [])

    async with connect(message_handler=on_message) as client:
        await client.call_tool("up__progress", {})

    assert messages == []


@shows("heartbeat")
async def test_a_silent_call_shows_signs_of_life(tmp_path: Path, door: Door) -> None:
    heard = Heard()
    async with house(tmp_path, heartbeat_s=0.1) as home, home.client(door) as client:
        await client.call_tool("up__wait", {"seconds": 0.6}, progress_callback=heard.on_progress)

    values = [progress for progress, _, _ in heard.progress]
    assert len(values) >= 2
    assert values == sorted(set(values))
    assert max(values) < 0.001
    assert "still running" in (heard.progress[0][2] or "")


@shows("logging")
@LEGACY_DOORS
async def test_log_messages_come_from_the_sessions_level_on(connect: Connect) -> None:
    heard = Heard()
    async with connect(logging_callback=heard.on_log) as client:
        await set_level(client, "info")
        await client.call_tool("up__log", {})

    assert heard.logs == [("warning", "careful")]


@shows("logging")
@LEGACY_DOORS
async def test_the_upstream_is_told_the_level(home: House, connect: Connect) -> None:
    async with connect() as client:
        await set_level(client, "debug")

    assert home.everything.levels == ["debug"]


@shows("logging-apart")
async def test_each_session_has_a_level_of_its_own(home: House) -> None:
    loud, quiet = Heard(), Heard()
    async with (
        home.client(Door.HTTP_LEGACY, logging_callback=loud.on_log) as first,
        home.client(Door.STDIO_LEGACY, logging_callback=quiet.on_log) as second,
    ):
        await set_level(first, "debug")
        await set_level(second, "error")
        await first.call_tool("up__log", {})
        await second.call_tool("up__log", {})

    assert loud.logs == [("warning", "careful"), ("debug", "detail")]
    assert quiet.logs == []


@shows("logging")
@pytest.mark.parametrize("door", [Door.STDIO_MODERN, Door.HTTP_MODERN], ids=lambda d: d.name)
@pytest.mark.parametrize(("level", "expected"), [(None, []), ("info", [("warning", "careful")])])
async def test_a_modern_call_hears_log_messages_when_it_asks(
    tmp_path: Path, door: Door, level: str | None, expected: list[tuple[str, str]]
) -> None:
    heard = Heard()
    async with (
        house(tmp_path, era="modern") as home,
        home.client(door, log_level=level, logging_callback=heard.on_log) as client,
    ):
        await client.call_tool("up__log", {})

    assert heard.logs == expected


@shows("questions")
@LEGACY_DOORS
@pytest.mark.parametrize(
    ("tool", "answer"), [("sample", "sampled 42"), ("elicit", "accept Ada"), ("roots", "file:///here")]
)
async def test_a_question_reaches_the_caller(connect: Connect, tool: str, answer: str) -> None:
    heard = Heard()
    async with connect(**heard.answering) as client:
        result = await client.call_tool(f"up__{tool}", {})

    assert text_of(result) == answer
    assert len(heard.questions) == 1


@shows("questions-driven")
@pytest.mark.parametrize("door", list(Door), ids=lambda d: d.name)
@pytest.mark.parametrize(("tool", "answer"), [("sample", "modern 42"), ("elicit", "modern accept")])
async def test_a_modern_upstreams_question_reaches_the_caller(
    tmp_path: Path, door: Door, tool: str, answer: str
) -> None:
    heard = Heard()
    async with house(tmp_path, era="modern") as home, home.client(door, **heard.answering) as client:
        result = await client.call_tool(f"up__{tool}", {})

    assert text_of(result) == answer
    assert len(heard.questions) == 1


@shows("questions-driven")
@LEGACY_DOORS
async def test_a_caller_that_cannot_answer_gets_the_reason(tmp_path: Path, door: Door) -> None:
    async with house(tmp_path, era="modern") as home, home.client(door) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("up__elicit", {})

    assert refused.value.error.code in (-32603, -32021)


@shows("questions-apart")
async def test_a_question_on_a_shared_pipe_is_declined_while_two_clients_call(tmp_path: Path) -> None:
    child = {"command": sys.executable, "args": ["-m", EVERYTHING.stem, "--legacy"], "cwd": str(EVERYTHING.parent)}
    first, second = Heard(), Heard()
    async with gateway(tmp_path, {"mcpServers": {"up": {**child, "era": "legacy"}}}) as (app, doors):
        home = House.of(app, doors)
        async with (
            home.client(Door.HTTP_LEGACY, **first.answering) as one,
            home.client(Door.STDIO_LEGACY, **second.answering) as other,
            anyio.create_task_group() as group,
        ):
            group.start_soon(one.call_tool, "up__wait", {"seconds": 10})
            await _until_it_waits(one)
            result = await _outcome(other, "up__elicit")
            group.cancel_scope.cancel()

    assert "isolation: session" in result
    assert first.questions == second.questions == []


async def _until_it_waits(client: Client) -> None:
    """Until one more call has reached the upstream than are made here."""
    with anyio.fail_after(5):
        for asked in count(1):
            counted = (await client.call_tool("up__count", {})).structured_content or {}
            if counted["calls"] > asked:
                return


async def _outcome(client: Client, tool: str) -> str:
    try:
        return text_of(await client.call_tool(tool, {}))
    except MCPError as refused:
        return refused.error.message
