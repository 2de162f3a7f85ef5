"""The keep-alive connections to one upstream.

The most recently used idle connection goes first, so that few stay warm and the rest
age out. Their number is bounded; who comes too late waits in line, within its own deadline.
"""

from __future__ import annotations

import asyncio
from collections import deque

from mcp_gateway.errors import UpstreamDisconnected, UpstreamUnavailable
from mcp_gateway.upstream.dispatch.connection import Connection
from mcp_gateway.upstream.dispatch.connector import Connector

MAX_CONNECTIONS = 256
"""Equals the default concurrency of one upstream (design, decision 2); a stream counts as a connection."""

IDLE_S = 30.0
"""Unused longer than this, a connection is closed. Our choice: above most servers' own keep-alive (5 to 15 s)."""


class Pool:
    """All connections to one upstream. Use `acquire`; a connection comes back by itself when its answer is complete."""

    def __init__(
        self, server: str, connector: Connector, *, max_connections: int = MAX_CONNECTIONS, idle_s: float = IDLE_S
    ) -> None:
        self._server = server
        self._connector = connector
        self._max_connections = max_connections
        self._idle_s = idle_s
        self._idle: list[Connection] = []  # oldest first
        self._open: set[Connection] = set()
        self._connecting = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed: asyncio.Event | None = None

    @property
    def open_connections(self) -> int:
        return len(self._open)

    async def acquire(self, *, fresh: bool = False) -> Connection:
        """A connection nobody else uses; a new one when `fresh` or when none is idle.

        Raises:
            UpstreamUnavailable, BadConfig: see `Connector.connect`.
            UpstreamDisconnected: the pool was closed.
        """
        while self._closed is None:
            if not fresh and (connection := self._take()) is not None:
                return connection
            if fresh and self._idle and self._is_full():
                self._idle[0].abort()
            if not self._is_full():
                return await self._connect()
            await self._wait_in_line()
        raise UpstreamDisconnected(f"the connection to upstream {self._server!r} was closed", server=self._server)

    async def aclose(self) -> None:
        """Close every connection and wait until the last is gone."""
        self._closed = asyncio.Event()
        if self._sweep is not None:
            self._sweep.cancel()
        while self._waiters:
            self._wake()
        for connection in tuple(self._open):
            connection.abort()
        while self._open:
            self._closed.clear()
            await self._closed.wait()

    def _is_full(self) -> bool:
        return len(self._open) + self._connecting >= self._max_connections

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable():
                return connection
            connection.abort()
        return None

    async def _connect(self) -> Connection:
        made: list[Connection] = []

        def factory() -> Connection:
            made.append(Connection(self._server, self._free, self._gone))
            return made[-1]

        self._connecting += 1
        try:
            await self._connector.connect(factory)
        except BaseException:
            self._wake()
            raise
        finally:
            self._connecting -= 1
        return self._admit(made[-1])

    def _admit(self, connection: Connection) -> Connection:
        if self._closed is not None or connection.lost:
            connection.abort()
            self._wake()
            raise UpstreamUnavailable(f"upstream {self._server!r} closed a connection at once", server=self._server)
        self._open.add(connection)
        return connection

    async def _wait_in_line(self) -> None:
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake()  # it was our turn; somebody else has to have it
            raise

    def _wake(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _free(self, connection: Connection) -> None:
        """A connection's answer is complete."""
        loop = asyncio.get_running_loop()
        connection.idle_since_s = loop.time()
        self._idle.append(connection)
        if self._sweep is None and self._closed is None:
            self._sweep = loop.call_later(self._idle_s, self._sweep_idle)
        self._wake()

    def _gone(self, connection: Connection) -> None:
        """A connection has ended."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._closed is not None:
            self._closed.set()
        self._wake()

    def _sweep_idle(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweep = None
        oldest_s = loop.time() - self._idle_s
        for connection in self._idle:
            if connection.idle_since_s <= oldest_s:
                connection.abort()
        if self._idle:
            self._sweep = loop.call_later(self._idle_s / 2, self._sweep_idle)
