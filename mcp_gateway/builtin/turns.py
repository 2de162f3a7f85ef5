"""Taking turns: so many at once, so many waiting, the rest told to come back later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from mcp_gateway.errors import Busy


class Turns:
    """A short queue in front of something costly."""

    def __init__(self, tool: str, at_once: int, may_wait: int) -> None:
        self._tool = tool
        self._may_wait = may_wait
        self._limiter = anyio.CapacityLimiter(at_once)

    @asynccontextmanager
    async def turn(self, within_s: float) -> AsyncIterator[None]:
        """Hold one place. Raises Busy when the queue is full, or no place is free `within_s`."""
        waiting = self._limiter.statistics().tasks_waiting
        if self._limiter.available_tokens < 1 and waiting >= self._may_wait:
            raise Busy(f"{self._tool} is busy: {waiting} calls are waiting already; call again later")
        holder = object()  # not the task: one task may take several turns
        try:
            with anyio.fail_after(within_s):
                await self._limiter.acquire_on_behalf_of(holder)
        except TimeoutError:
            raise Busy(f"{self._tool} is busy: no place became free within {within_s:g} s") from None
        try:
            yield
        finally:
            self._limiter.release_on_behalf_of(holder)
