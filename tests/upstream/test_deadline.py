"""What a call's deadline does not count."""

from __future__ import annotations

import math

import anyio
import pytest
from mcp_gateway.errors import RpcError
from mcp_gateway.upstream.deadline import ExtendingSink, PatientSink
from mcp_gateway.wire import Raw, RawParams

LIMIT_S = 100.0


class Person:
    """Answers once it is let; refuses what is called so."""

    owner = "me"
    token: str | int | None = None

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.go = anyio.Event()

    def notify(self, method: str, params: RawParams) -> None:
        self.heard.append(method)

    async def request(self, method: str, params: RawParams) -> Raw:
        await self.go.wait()
        if method == "refused":
            raise RpcError.of(-1, "no")
        return Raw(b"{}")


async def test_the_clock_stands_still_until_the_last_question_is_answered() -> None:
    with anyio.move_on_after(LIMIT_S) as scope:
        person, begun = Person(), scope.deadline
        sink = PatientSink(person, scope, LIMIT_S)
        async with anyio.create_task_group() as group:
            group.start_soon(sink.request, "asked", {})
            group.start_soon(sink.request, "asked", {})
            await anyio.wait_all_tasks_blocked()
            assert math.isinf(scope.deadline)
            sink.notify("told", {})
            person.go.set()
        assert begun < scope.deadline <= anyio.current_time() + LIMIT_S
    assert person.heard == ["told"]


async def test_a_refused_question_gains_no_time() -> None:
    with anyio.move_on_after(LIMIT_S) as scope:
        person, begun = Person(), scope.deadline
        person.go.set()
        with pytest.raises(RpcError):
            await PatientSink(person, scope, LIMIT_S).request("refused", {})
        assert scope.deadline == begun


async def test_progress_does_not_start_a_clock_that_stands_still() -> None:
    with anyio.move_on_after(LIMIT_S) as scope:
        person = Person()
        sink = ExtendingSink(PatientSink(person, scope, LIMIT_S), scope, LIMIT_S, LIMIT_S)
        async with anyio.create_task_group() as group:
            group.start_soon(sink.request, "asked", {})
            await anyio.wait_all_tasks_blocked()
            sink.notify("notifications/progress", {})
            assert math.isinf(scope.deadline)
            person.go.set()
