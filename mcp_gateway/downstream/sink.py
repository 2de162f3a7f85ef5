"""The way back to the client of one call.

Notifications are put in a short queue and sent in order by one task of the call,
so that an upstream never waits for a slow client; the answer follows once the
queue is empty. Questions go out on the stream of the very request they belong to.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import anyio
from mcp.server.context import ServerRequestContext
from mcp.shared.dispatcher import DispatchContext
from mcp.shared.exceptions import MCPError

from mcp_gateway.call import Call
from mcp_gateway.capabilities import check_askable
from mcp_gateway.downstream.enclosure import content, enclosed, error_of
from mcp_gateway.downstream.plain import plain
from mcp_gateway.revisions import LOG_LEVELS
from mcp_gateway.wire import Raw, RawParams, encode

logger = logging.getLogger(__name__)

QUEUE = 256
"""Notifications held for a slow client, per call; the oldest goes first (our choice)."""

DRAIN_WITHIN_S = 5.0
"""How long an answer waits for the notifications before it (our choice)."""


class Outlet(Protocol):
    """How messages of one call reach its client; params are an encoded object."""

    async def notify(self, method: str, params: bytes) -> None: ...

    async def ask(self, method: str, params: bytes) -> Raw:
        """The client's answer. Raises RpcError when it refuses, or cannot be asked."""
        ...


class CallSink:
    """One call's way back. `pump` has to run for as long as anything is queued; `on_queued` tells of the first."""

    def __init__(self, call: Call, token: object, outlet: Outlet, on_queued: Callable[[], None] = lambda: None) -> None:
        self.owner = call.client.key
        self.token: str | int | None = token if isinstance(token, str | int) else None
        self.dropped = 0
        self._capabilities = call.client.capabilities
        self._outlet = outlet
        self._on_queued = on_queued
        self._log_level = call.log_level
        self._logs_unasked = not call.client.modern
        self._waiting: deque[tuple[str, RawParams]] = deque()
        self._arrived: anyio.Event | None = None
        self._empty: anyio.Event | None = None

    def notify(self, method: str, params: RawParams) -> None:
        if method == "notifications/message" and not self._wants(params):
            return
        if method == "notifications/progress" and self.token is None:
            return
        if len(self._waiting) >= QUEUE:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((method, params))
        if self._empty is None:
            self._empty = anyio.Event()
            self._on_queued()
        if self._arrived is not None:
            self._arrived.set()

    async def request(self, method: str, params: RawParams) -> Raw:
        check_askable(method, params, self._capabilities)
        await self.drained()
        return await self._outlet.ask(method, encode(params))

    async def pump(self) -> None:
        """Send what is queued, in order, until cancelled."""
        while True:
            while self._waiting:
                await self._send(*self._waiting.popleft())
            if self._empty is not None:
                self._empty.set()
                self._empty = None
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def drained(self) -> None:
        """Wait until everything queued has been sent, or the client is too slow for it."""
        if self._empty is not None:
            with anyio.move_on_after(DRAIN_WITHIN_S):
                await self._empty.wait()

    async def _send(self, method: str, params: RawParams) -> None:
        told = {**params, "progressToken": self.token} if method == "notifications/progress" else params
        await self._outlet.notify(method, encode(told))

    def _wants(self, params: RawParams) -> bool:
        """Log messages below the level the client asked for stay here; a modern client must have asked (SEP-2577)."""
        if self._log_level is None:
            return self._logs_unasked
        level = plain(params).get("level")
        return level not in LOG_LEVELS or LOG_LEVELS.index(level) >= LOG_LEVELS.index(self._log_level)


class SdkOutlet:
    """The SDK's request-scoped channel."""

    def __init__(self, context: ServerRequestContext[Any, Any]) -> None:
        self._channel: DispatchContext[Any] = context.session._request_outbound  # the SDK has no public raw channel

    async def notify(self, method: str, params: bytes) -> None:
        try:
            await self._channel.notify(method, enclosed(params))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            logger.debug("sink.closed method=%s", method)

    async def ask(self, method: str, params: bytes) -> Raw:
        try:
            return content(await self._channel.send_raw_request(method, enclosed(params)))
        except MCPError as refused:
            raise error_of(refused) from None
