"""A call's notifications as events: typed, in order, bounded, and over when the call is."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp_gateway.builtin.ask_progress import AskProgress
from mcp_gateway.downstream.call_events import QUEUE, CallEvent, CallEvents, EventKind
from mcp_gateway.errors import RpcError
from mcp_gateway.llm.events import EVENTS_KEY, Delta, Failed, Status, ToolAnswered, ToolCalled
from mcp_gateway.wire import Raw

PROGRESS = "notifications/progress"


async def heard(events: CallEvents) -> list[tuple[str, dict[str, Any]]]:
    """Everything, to the end of the call."""
    with anyio.fail_after(5):
        return [(event.kind, event.data) async for event in events]


async def test_progress_and_log_messages_are_events_in_their_order() -> None:
    events = CallEvents("me")
    events.notify(PROGRESS, {"progressToken": "me", "progress": Raw(b"1"), "message": Raw(b'"on it"')})
    events.notify("notifications/message", {"level": Raw(b'"info"'), "data": Raw(b'{"n":1}')})
    events.notify("notifications/tools/list_changed", {})
    events.close()

    assert (events.owner, events.token is None) == ("me", False)
    assert await heard(events) == [
        ("progress", {"progress": 1, "message": "on it"}),
        ("log", {"level": "info", "data": {"n": 1}}),
    ]


async def test_an_ask_is_told_step_by_step() -> None:
    events = CallEvents("me")
    tell = AskProgress(events, clock=lambda: 0.0)
    for step in (
        Status("thinking"),
        ToolCalled("call_1", "up__echo", {"text": "x"}),
        ToolAnswered("call_1", "up__echo", True, 5, False, "x"),
        Delta("It says "),
        Delta("x."),
        Failed("the model left"),
    ):
        tell(step)
    tell.flush()
    events.close()

    assert await heard(events) == [
        ("status", {"text": "thinking"}),
        ("tool_call", {"id": "call_1", "tool": "up__echo", "arguments": {"text": "x"}}),
        ("tool_result", {"id": "call_1", "tool": "up__echo", "ok": True, "ms": 5, "cached": False, "excerpt": "x"}),
        ("delta", {"text": "It says x."}),
        ("status", {"text": "the model left"}),
    ]


async def test_an_upstream_cannot_speak_in_the_name_of_an_ask() -> None:
    events = CallEvents("me")
    claimed = b'{"%b":[{"type":"tool_call","id":"1","tool":"x","arguments":{}}]}' % EVENTS_KEY.encode()
    events.notify(PROGRESS, {"progress": Raw(b"1"), "_meta": Raw(claimed)})
    events.close()

    assert [kind for kind, _ in await heard(events)] == ["progress"]


async def test_a_full_queue_loses_its_oldest_progress_first() -> None:
    events = CallEvents("me")
    events.notify("notifications/message", {"level": "info", "data": "kept"})
    for number in range(QUEUE + 1):
        events.notify(PROGRESS, {"progress": number})
    events.close()
    told = await heard(events)

    assert (events.dropped, len(told)) == (2, QUEUE)
    assert told[:2] == [("log", {"level": "info", "data": "kept"}), ("progress", {"progress": 2})]


async def test_a_full_queue_without_progress_loses_its_oldest_event() -> None:
    events = CallEvents("me")
    for number in range(QUEUE + 1):
        events.notify("notifications/message", {"data": number})
    events.close()

    assert [data["data"] for _, data in await heard(events)] == list(range(1, QUEUE + 1))


async def test_text_that_waits_is_joined_and_never_lost() -> None:
    events = CallEvents("me")
    for _ in range(QUEUE * 2):
        events.notify(PROGRESS, {"progress": 1, "_meta": {EVENTS_KEY: [{"type": "delta", "text": "la"}]}})
    events.close()

    assert await heard(events) == [("delta", {"text": "la" * QUEUE * 2})]


async def test_a_reader_that_gives_up_waiting_misses_nothing() -> None:
    events = CallEvents("me")
    with anyio.move_on_after(0):
        await anext(events)
    events.notify(PROGRESS, {"progress": 1})

    with anyio.fail_after(5):
        assert await anext(events) == CallEvent(EventKind("progress"), {"progress": 1})


async def test_a_waiting_reader_is_woken_by_an_event_and_by_the_end() -> None:
    events, told = CallEvents("me"), list[CallEvent]()

    async def read() -> None:
        async for event in events:
            told.append(event)
        told.append(CallEvent(EventKind("log"), {"end": True}))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            events.notify(PROGRESS, {"progress": 1})
            await anyio.wait_all_tasks_blocked()
            assert len(told) == 1
            events.close()
            events.notify(PROGRESS, {"progress": 2})

    assert [event.data for event in told] == [{"progress": 1}, {"end": True}]


async def test_nobody_can_be_asked() -> None:
    with pytest.raises(RpcError, match="nobody to ask"):
        await CallEvents("me").request("elicitation/create", {})
