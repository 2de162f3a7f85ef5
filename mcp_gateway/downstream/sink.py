"""The way back to a client that is served by the SDK.

Notifications are put in a short queue and sent in order by one task of the call,
so that an upstream never waits for a slow client; the answer follows once the
queue is empty. Questions go out on the stream of the very request they belong to.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

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


class SdkSink:
    """One call's way back over the SDK's request-scoped channel."""

    def __init__(self, context: ServerRequestContext[Any, Any], call: Call) -> None:
        meta = (context.params or {}).get("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        self.owner = call.client.key
        self.token: str | int | None = token if isinstance(token, str | int) else None
        self.dropped = 0
        self._capabilities = call.client.capabilities
        self._outbound: DispatchContext[Any] = context.session._request_outbound  # the SDK has no public raw channel
        self._log_level = call.log_level
        self._logs_unasked = not call.client.modern
        self._waiting: deque[tuple[str, RawParams]] = deque()
        self._arrived = anyio.Event()
        self._empty = anyio.Event()
        self._empty.set()

    def notify(self, method: str, params: RawParams) -> None:
        if method == "notifications/message" and not self._wants(params):
            return
        if method == "notifications/progress" and self.token is None:
            return
        if len(self._waiting) >= QUEUE:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append((method, params))
        if self._empty.is_set():
            self._empty = anyio.Event()
        self._arrived.set()

    async def request(self, method: str, params: RawParams) -> Raw:
        check_askable(method, params, self._capabilities)
        await self.drained()
        try:
            return content(await self._outbound.send_raw_request(method, enclosed(encode(params))))
        except MCPError as refused:
            raise error_of(refused) from None

    async def pump(self) -> None:
        """Send what is queued, in order, until cancelled."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while self._waiting:
                await self._send(*self._waiting.popleft())
            self._empty.set()

    async def drained(self) -> None:
        """Wait until everything queued has been sent, or the client is too slow for it."""
        with anyio.move_on_after(DRAIN_WITHIN_S):
            await self._empty.wait()

    async def _send(self, method: str, params: RawParams) -> None:
        told = {**params, "progressToken": self.token} if method == "notifications/progress" else params
        try:
            await self._outbound.notify(method, enclosed(encode(told)))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            logger.debug("sink.closed method=%s", method)

    def _wants(self, params: RawParams) -> bool:
        """Log messages below the level the client asked for stay here; a modern client must have asked (SEP-2577)."""
        if self._log_level is None:
            return self._logs_unasked
        level = plain(params).get("level")
        return level not in LOG_LEVELS or LOG_LEVELS.index(level) >= LOG_LEVELS.index(self._log_level)
