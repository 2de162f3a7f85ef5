"""What waits for a client: in order, and never without an end."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from mcp_gateway.downstream.outbox import FULL, ROOM, ROOM_CHARS, Outbox, OutboxFull


async def test_frames_are_taken_in_order() -> None:
    outbox = Outbox()
    await outbox.put("one")
    outbox.post("two")

    assert [await outbox.take(), await outbox.take()] == ["one", "two"]


async def test_a_taker_waits_for_a_frame() -> None:
    outbox, taken = Outbox(), []

    async def take() -> None:
        taken.append(await outbox.take())

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        await checkpoint()
        assert taken == []
        outbox.post("late")

    assert taken == ["late"]


@pytest.mark.parametrize(("frame", "count"), [("x", ROOM), ("x" * ROOM_CHARS, 1)])
async def test_whoever_can_wait_does_until_there_is_room(frame: str, count: int) -> None:
    outbox = Outbox()
    for _ in range(count):
        await outbox.put(frame)
    async with anyio.create_task_group() as group:
        group.start_soon(outbox.put, "waits")
        await checkpoint()
        assert len(outbox) == count
        await outbox.take()

    assert len(outbox) == count


async def test_a_frame_whose_call_was_given_up_is_not_added() -> None:
    outbox = Outbox()
    for _ in range(ROOM):
        await outbox.put("x")
    with anyio.move_on_after(0.01):
        await outbox.put("given up")
    while len(outbox):
        assert await outbox.take() == "x"


async def test_short_answers_pass_those_that_wait_and_have_an_end() -> None:
    outbox = Outbox()
    for _ in range(FULL):
        outbox.post("x")
    with pytest.raises(OutboxFull):
        outbox.post("one too many")

    assert len(outbox) == FULL
