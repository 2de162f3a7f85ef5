"""The standing GET stream of a legacy session: what an upstream says outside of calls.

Opened in the background and kept open: reconnecting is bounded in rate, not in number,
and ends only when the upstream does not offer the stream or has forgotten the session.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio

from mcp_gateway.errors import GatewayError, RpcError
from mcp_gateway.upstream.dispatch.conversation import resume_id, retry_s
from mcp_gateway.upstream.dispatch.event_stream import EventStream, ServerSentEvent
from mcp_gateway.upstream.dispatch.exchange import Exchange, OnEvent
from mcp_gateway.upstream.dispatch.inbound import Inbound
from mcp_gateway.wire import Malformed, decode

logger = logging.getLogger(__name__)

FIRST_BACKOFF_S = 1.0
MAX_BACKOFF_S = 30.0

_PASSING = frozenset({401, 403, 408, 425, 429})
"""4xx statuses that may pass; any other says that there is no such stream."""

Open = Callable[[str | None, OnEvent], Awaitable[Exchange]]
"""Open the stream after the event with the given id and hear it to its end."""


class StandingStream:
    """Keeps one stream open while `keep` runs."""

    def __init__(self, server: str, inbound: Inbound, open_stream: Open, count: Callable[[str], None]) -> None:
        self._server = server
        self._inbound = inbound
        self._open_stream = open_stream
        self._count = count
        self._stream: EventStream | None = None
        self._scope = anyio.CancelScope()
        self._backoff_s = FIRST_BACKOFF_S

    def stop(self) -> None:
        self._scope.cancel()

    async def keep(self) -> None:
        with self._scope:
            while True:
                if not await self._hear_once():
                    return
                await anyio.sleep(retry_s(self._stream) + self._backoff_s - FIRST_BACKOFF_S)

    async def _hear_once(self) -> bool:
        """Hear the stream to its end; False when it makes no sense to ask again."""
        heard = self._stream
        try:
            exchange = await self._open_stream(resume_id(self._stream), self._take_event)
        except (GatewayError, RpcError) as error:
            logger.debug("upstream.stream_failed name=%s status=%s", self._server, error.status)
            if error.status is not None and error.status < 500 and error.status not in _PASSING:
                return False
        else:
            if exchange.stream is None:
                return False  # a success without a stream: not offered either
        if self._stream is heard:
            self._backoff_s = min(self._backoff_s * 2, MAX_BACKOFF_S)
        else:
            self._backoff_s = FIRST_BACKOFF_S
        return True

    def _take_event(self, exchange: Exchange, event: ServerSentEvent) -> None:
        self._stream = exchange.stream
        if event.type != "message" or not event.data:
            return
        try:
            message = decode(event.data)
        except Malformed:
            self._count("bad_event")
        else:
            self._inbound.hear_standing(message)
