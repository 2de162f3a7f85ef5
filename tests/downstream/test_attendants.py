"""What goes on beside a call: it ends with the call, and a fault of it costs nobody else anything."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.downstream.attendants import Attendants


async def test_the_end_of_the_call_ends_what_goes_on_beside_it() -> None:
    ended = anyio.Event()

    async def work() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            attendants = Attendants(group)
            attendants.start(work)
            await anyio.wait_all_tasks_blocked()
            attendants.end()

    assert ended.is_set()


async def test_nothing_starts_after_the_end_of_the_call() -> None:
    with anyio.fail_after(5):  # or the group would wait for ever
        async with anyio.create_task_group() as group:
            attendants = Attendants(group)
            attendants.end()
            attendants.start(anyio.sleep_forever)


async def test_one_that_fails_leaves_the_group_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("the response has ended")

    async with anyio.create_task_group() as group:
        Attendants(group).start(fail)
        await anyio.wait_all_tasks_blocked()
        assert not group.cancel_scope.cancel_called

    assert "the response has ended" in caplog.text
