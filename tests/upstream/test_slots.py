"""The places that calls take: so many run, so many wait, the rest are refused."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.errors import UpstreamBusy
from mcp_gateway.upstream.slots import Slots

WAIT_S = 5


async def hold(slots: Slots, release: anyio.Event, done: list[int], number: int = 0) -> None:
    async with slots:
        await release.wait()
    done.append(number)


async def test_no_more_calls_run_than_there_are_places() -> None:
    slots, release, done = Slots("up", 2, 10), anyio.Event(), list[int]()
    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            for number in range(5):
                group.start_soon(hold, slots, release, done, number)
            await anyio.wait_all_tasks_blocked()
            assert (slots.in_flight, slots.waiting) == (2, 3)
            release.set()
    assert sorted(done) == [0, 1, 2, 3, 4]
    assert (slots.in_flight, slots.waiting) == (0, 0)


async def test_a_full_queue_refuses_with_the_upstreams_name() -> None:
    slots, release, done = Slots("up", 1, 1), anyio.Event(), list[int]()
    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(hold, slots, release, done)
            group.start_soon(hold, slots, release, done)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UpstreamBusy, match="'up' has 1 calls waiting") as refused:
                async with slots:
                    pytest.fail("there was no place")
            assert refused.value.server == "up"
            release.set()


async def test_a_caller_that_gives_up_leaves_the_queue() -> None:
    slots, release, done = Slots("up", 1, 1), anyio.Event(), list[int]()
    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(hold, slots, release, done)
            await anyio.wait_all_tasks_blocked()
            with anyio.move_on_after(0):
                await hold(slots, release, done)
            assert slots.waiting == 0
            release.set()
    assert done == [0]
