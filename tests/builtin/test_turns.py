"""So many at once, so many waiting, the rest told to come back."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.builtin.turns import Turns
from mcp_gateway.errors import Busy


async def test_a_full_queue_turns_the_next_one_away() -> None:
    turns = Turns("tool", at_once=1, may_wait=0)
    async with turns.turn(1):
        with pytest.raises(Busy, match="tool is busy: 0 calls are waiting"):
            async with turns.turn(1):
                pass


async def test_who_waits_too_long_is_told() -> None:
    turns = Turns("tool", at_once=1, may_wait=1)
    async with turns.turn(1):
        with pytest.raises(Busy, match=r"within 0\.05 s"):
            async with turns.turn(0.05):
                pass


async def test_a_place_is_given_back_when_its_holder_fails() -> None:
    turns = Turns("tool", at_once=1, may_wait=0)
    with pytest.raises(ZeroDivisionError):
        async with turns.turn(1):
            _ = 1 // 0

    async with turns.turn(1):
        pass


async def test_who_waits_gets_the_place_that_becomes_free() -> None:
    turns = Turns("tool", at_once=1, may_wait=1)
    order: list[str] = []

    async def second() -> None:
        async with turns.turn(5):
            order.append("second")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group, turns.turn(5):
            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            order.append("first")

    assert order == ["first", "second"]
