"""Shared work: once for all, cancelled only when nobody waits any more."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from mcp_gateway.cache.flight import Flights
from mcp_gateway.errors import UpstreamUnavailable


class Gate:
    """Work that waits until it is let through, and remembers what happened to it."""

    def __init__(self) -> None:
        self.runs = 0
        self.started = anyio.Event()
        self.open = anyio.Event()
        self.cancelled = anyio.Event()
        self.members: Sequence[str] = ()

    async def work(self, members: Sequence[str]) -> str:
        self.runs += 1
        self.members = members
        self.started.set()
        try:
            await self.open.wait()
        except anyio.get_cancelled_exc_class():
            self.cancelled.set()
            raise
        return "done"


async def test_work_runs_once_and_all_get_its_outcome() -> None:
    gate, outcomes = Gate(), []

    async def ask(name: str) -> None:
        outcomes.append((name, *await flights.join("k", name, gate.work)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            flights = Flights[str, str](group)
            async with anyio.create_task_group() as callers:
                for name in "abc":
                    callers.start_soon(ask, name)
                await gate.started.wait()
                while len(gate.members) < 3:
                    await anyio.lowlevel.checkpoint()
                gate.open.set()
            assert gate.runs == 1
            assert sorted(outcomes) == [("a", "done", True), ("b", "done", False), ("c", "done", False)]
            assert len(flights) == 0


async def test_other_keys_are_other_work() -> None:
    gate = Gate()
    gate.open.set()
    async with anyio.create_task_group() as group:
        flights = Flights[str, str](group)
        await flights.join("a", "x", gate.work)
        await flights.join("b", "x", gate.work)
    assert gate.runs == 2


async def test_one_caller_cancelled_disturbs_nobody_and_all_cancelled_ends_the_work() -> None:
    gate = Gate()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            flights = Flights[str, str](group)
            scopes = [anyio.CancelScope(), anyio.CancelScope()]

            async def ask(scope: anyio.CancelScope) -> None:
                with scope:
                    await flights.join("k", "x", gate.work)

            async with anyio.create_task_group() as callers:
                for scope in scopes:
                    callers.start_soon(ask, scope)
                await gate.started.wait()
                while len(gate.members) < 2:
                    await anyio.lowlevel.checkpoint()
                scopes[0].cancel()
                while len(gate.members) > 1:
                    await anyio.lowlevel.checkpoint()
                assert not gate.cancelled.is_set()
                scopes[1].cancel()
                await gate.cancelled.wait()
            gate.open.set()
            assert (await flights.join("k", "x", gate.work))[0] == "done", "new work under the same key"


async def test_what_the_work_raises_is_raised_in_every_caller() -> None:
    async def fail(members: Sequence[str]) -> str:
        raise UpstreamUnavailable("down")

    async with anyio.create_task_group() as group:
        flights = Flights[str, str](group)
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable, match="down"):
                await flights.join("k", "x", fail)


async def test_launched_work_goes_on_without_callers() -> None:
    gate = Gate()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            flights = Flights[str, str](group)
            flights.launch("k", "nobody", gate.work)
            flights.launch("k", "nobody", gate.work)
            await gate.started.wait()
            with anyio.move_on_after(0):
                await flights.join("k", "x", gate.work)
            assert not gate.cancelled.is_set()
            gate.open.set()
        assert gate.runs == 1


async def test_callers_are_told_when_the_work_is_cancelled_from_above() -> None:
    gate = Gate()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as callers:

            async def ask() -> None:
                with pytest.raises(UpstreamUnavailable):
                    await flights.join("k", "x", gate.work)

            async with anyio.create_task_group() as group:
                flights = Flights[str, str](group)
                callers.start_soon(ask)
                await gate.started.wait()
                group.cancel_scope.cancel()
