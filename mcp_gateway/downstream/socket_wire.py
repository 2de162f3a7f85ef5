"""uvicorn's WebSocket protocol, with an end to what a peer can make it wait for or keep.

Bytes are its business; frames leave as ASGI events. What is added: a socket that is closed and not read is cut off, a
message comes in so many fragments and no more, pings are rare, and a server that stops says "going away".
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from mcp_gateway.downstream.bucket import Bucket

MAX_FRAGMENTS: Final = 1024
"""Fragments of one message; empty ones would cost memory for ever without growing it (our choice)."""

CONTROLS_PER_S: Final = 10.0
CONTROLS_AT_ONCE: Final = 100
"""Pings and pongs of a peer (our choice); one in seconds is usual."""

CUT_OFF_AFTER_S: Final = 1.0
"""What a peer gets to take the last bytes, the reason among them (our choice)."""


class SocketWire(WebSocketsSansIOProtocol):
    """One connection."""

    _controls: Bucket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._controls = Bucket(CONTROLS_PER_S, CONTROLS_AT_ONCE)

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) >= MAX_FRAGMENTS:
            self._fail(CloseCode.MESSAGE_TOO_BIG, "too many fragments")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        if self._admits_control():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._admits_control():
            super().handle_pong(event)

    def _admits_control(self) -> bool:
        """Pongs to a peer that does not read would pile up, and a flood of either keeps the others waiting."""
        admitted = self._controls.take()
        if not admitted:
            self._fail(CloseCode.POLICY_VIOLATION, "too many pings and pongs")
        return admitted

    def keepalive_timeout(self) -> None:
        """The peer is gone: what it has not taken would keep the connection open for a quarter of an hour."""
        super().keepalive_timeout()
        self._cut_off()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._cut_off()

    def shutdown(self) -> None:
        """The server stops."""
        if self.handshake_complete and not self.close_sent:
            self.stop_keepalive()
            self._fail(CloseCode.GOING_AWAY, "the gateway is stopping")
        else:
            super().shutdown()
        self._cut_off()

    def _fail(self, code: CloseCode, reason: str) -> None:
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()

    def _cut_off(self) -> None:
        self.loop.call_later(CUT_OFF_AFTER_S, self.transport.abort)
