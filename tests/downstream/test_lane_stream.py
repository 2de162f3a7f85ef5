"""A response of the fast lane keeps the order of ASGI, whatever is said when."""

from __future__ import annotations

import anyio
from mcp_gateway.downstream.lane_stream import LaneStream
from starlette.types import Message


class Wire:
    """A server that takes messages, the first of them only once the gate is open."""

    def __init__(self) -> None:
        self.taken: list[Message] = []
        self.reached = anyio.Event()
        self.gate = anyio.Event()

    async def send(self, message: Message) -> None:
        self.reached.set()
        await self.gate.wait()
        self.taken.append(message)

    @property
    def told(self) -> list[tuple[str, object]]:
        return [(message["type"], message.get("status", message.get("body"))) for message in self.taken]


async def test_what_is_said_after_the_answer_is_dropped() -> None:
    wire = Wire()
    wire.gate.set()
    stream = LaneStream(wire.send, "")
    await stream.finish(b"{}", 200)
    await stream.event(b'{"late":1}')

    assert wire.told == [("http.response.start", 200), ("http.response.body", b"{}")]


async def test_who_is_cancelled_before_the_response_has_begun_has_begun_nothing() -> None:
    wire = Wire()
    stream = LaneStream(wire.send, "")
    async with anyio.create_task_group() as group:
        group.start_soon(stream.event, b'{"early":1}')
        await wire.reached.wait()
        group.cancel_scope.cancel()
    wire.gate.set()
    await stream.finish(b"{}", 404)

    assert wire.told == [("http.response.start", 404), ("http.response.body", b"{}")]


async def test_the_answer_waits_for_the_event_that_goes_out() -> None:
    wire = Wire()
    stream = LaneStream(wire.send, "")
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(stream.event, b'{"early":1}')
            await wire.reached.wait()
            group.start_soon(stream.finish, b"{}", 404)
            await anyio.wait_all_tasks_blocked()
            wire.gate.set()

    assert [kind for kind, _ in wire.told] == ["http.response.start", *["http.response.body"] * 2]
    assert wire.taken[-1]["body"] == b"event: message\r\ndata: {}\r\n\r\n"
