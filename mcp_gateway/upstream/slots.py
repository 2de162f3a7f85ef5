"""The places that calls to one upstream take: so many at once, so many waiting."""

from __future__ import annotations

import anyio

from mcp_gateway.errors import UpstreamBusy


class Slots:
    """`concurrency` calls run, `queue` more wait in order, the rest are refused.

    Entered by each call around its work: `async with slots`. Raises UpstreamBusy on entering.
    """

    def __init__(self, server: str, concurrency: int, queue: int) -> None:
        self.in_flight = 0
        self.waiting = 0
        self._server = server
        self._queue = queue
        self._places = anyio.Semaphore(concurrency, fast_acquire=True)

    async def __aenter__(self) -> None:
        try:
            self._places.acquire_nowait()
        except anyio.WouldBlock:
            await self._wait()
        self.in_flight += 1

    async def _wait(self) -> None:
        if self.waiting >= self._queue:
            message = f"upstream {self._server!r} has {self.waiting} calls waiting; try again later"
            raise UpstreamBusy(message, server=self._server)
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self.in_flight -= 1
        self._places.release()
