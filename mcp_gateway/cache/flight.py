"""Identical work under way at the same time is done once.

Several callers enter with one key, one piece of work runs, all get its outcome. The
work runs in a task of its own: a caller that is cancelled leaves the others alone,
and the work is cancelled when the last one has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

import anyio
from anyio.abc import TaskGroup

from mcp_gateway.errors import UpstreamUnavailable

M = TypeVar("M")
T = TypeVar("T")


class Flight(Generic[M, T]):
    """One piece of work and who waits for it; `members` changes while it runs."""

    def __init__(self, members: list[M]) -> None:
        self.members = members
        self.landed = anyio.Event()
        self.scope = anyio.CancelScope()
        self._outcome: T | None = None
        self._error: Exception | None = None

    async def run(self, work: Callable[[Sequence[M]], Awaitable[T]]) -> None:
        with self.scope:
            try:
                self._outcome = await work(self.members)
            except Exception as error:  # boundary: whatever the work raises is raised by those who wait for it
                self._error = error
            finally:
                self.landed.set()

    def outcome(self) -> T:
        """What the work returned, or raised. Raises UpstreamUnavailable when it was cancelled from above."""
        if self._error is not None:
            raise self._error
        if self._outcome is None:
            raise UpstreamUnavailable("the gateway is stopping")
        return self._outcome


class Flights(Generic[M, T]):
    """The work under way, by key. `group` runs it; for one event loop.

    Work is a function of the live list of its members, the first of which started it.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._flights: dict[Hashable, Flight[M, T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._flights

    async def join(self, key: Hashable, member: M, work: Callable[[Sequence[M]], Awaitable[T]]) -> tuple[T, bool]:
        """Wait for the work under this key, starting it if need be: (outcome, whether it was ours).

        Raises whatever the work raises, in every waiter.
        """
        flight = self._flights.get(key)
        ours = flight is None
        if flight is None:
            flight = self._start(key, member, work)
        else:
            flight.members.append(member)
        try:
            await flight.landed.wait()
        finally:
            flight.members.remove(member)
            if not flight.members:
                self._forget(key, flight)
                flight.scope.cancel()
        return flight.outcome(), ours

    def launch(self, key: Hashable, member: M, work: Callable[[Sequence[M]], Awaitable[T]]) -> None:
        """Have the work done without waiting for it, unless it is under way already; others may join."""
        if key not in self._flights:
            self._start(key, member, work)

    def _start(self, key: Hashable, member: M, work: Callable[[Sequence[M]], Awaitable[T]]) -> Flight[M, T]:
        flight = Flight[M, T]([member])
        self._flights[key] = flight

        async def fly() -> None:
            try:
                await flight.run(work)
            finally:
                self._forget(key, flight)

        self._group.start_soon(fly)
        return flight

    def _forget(self, key: Hashable, flight: Flight[M, T]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
