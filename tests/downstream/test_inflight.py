"""Calls are counted, and their end can be waited for."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.downstream.inflight import InFlight


async def test_without_calls_nobody_waits() -> None:
    with anyio.fail_after(1):
        await InFlight().none()


async def test_everybody_who_waits_is_woken_by_the_last_call() -> None:
    in_flight, woken = InFlight(), list[int]()

    async def wait(number: int) -> None:
        await in_flight.none()
        woken.append(number)

    with anyio.fail_after(1):
        async with anyio.create_task_group() as group:
            with in_flight:
                with in_flight:
                    group.start_soon(wait, 1)
                    group.start_soon(wait, 2)
                    await anyio.lowlevel.checkpoint()
                assert (in_flight.count, woken) == (1, [])

    assert sorted(woken) == [1, 2]


def test_a_call_that_fails_is_over_too() -> None:
    in_flight = InFlight()
    with pytest.raises(ValueError, match="no"), in_flight:
        raise ValueError("no")

    assert in_flight.count == 0
