"""One connection of the HTTP doors: uvicorn's protocol with an end to what a peer can make it wait for or keep.

Bytes are its business, ASGI is uvicorn's. What is added (security facts, R-SLOW-1): a head that does not arrive in
time or is too large is refused, a response that is not taken ends, a body that came too late ends the connection, and
a connection too many is told so.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from mcp_gateway.downstream.admission import MAX_LINGERING, Admission, Caps
from mcp_gateway.errors import InvalidParams, MessageTooLarge, Overloaded, TooSlow, http_body, to_http
from mcp_gateway.wire import encode

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take and cost. Times in seconds; our choice where nothing is said."""

    head_s: float = 10.0
    """From the connection, or from the first byte on one that is kept alive, to the end of the head (R-SLOW-1)."""

    body_s: float = 30.0
    """From the end of the head to the end of the body (R-SLOW-1); doors that read one give up before (`body`)."""

    idle_s: float = 30.0
    """What a connection that is kept alive may be silent for: longer than the pools of common clients keep theirs."""

    stall_s: float = 30.0
    """What bytes may wait for the peer to take them (R-SLOW-1)."""

    taken_bytes: int = 64 * 1024
    """What a peer takes within `stall_s` at least, unless it takes all there is."""

    linger_s: float = 2.0
    """What a peer gets to read why it was refused, while the rest of its request is thrown away."""

    max_head_bytes: int = 32 * 1024
    max_fields: int = 100

    caps: Caps = field(default_factory=Caps)


class HttpWire(HttpToolsProtocol):
    """From being accepted to being closed."""

    def __init__(
        self,
        bounds: Bounds,
        admission: Admission,
        *,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._admission = admission
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._address: str | None = None
        self._in_head = False
        self._head_bytes = 0
        self._lingering = False

    # -- coming and going ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._look = self.loop.call_later(self._bounds.stall_s, self._look_for_leftovers)
        address = self.client[0] if self.client else ""
        if self._admission.enter(address):
            self._address = address
            self._timer = self.loop.call_later(self._bounds.head_s, self._head_is_late)
        else:
            self._refuse(*to_http(Overloaded("too many connections are open; try again in a second")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget(self._timer)
        self._forget(self._stalled)
        self._forget(self._look)
        self._leave()
        if self._lingering:
            self._admission.lingering -= 1
        super().connection_lost(exc)

    def handle_websocket_upgrade(self) -> None:
        """Another protocol takes over; the connection counts until that one is told of its end."""
        if self._lingering:
            return
        self.transport.set_write_buffer_limits()
        self._forget(self._timer)
        self._forget(self._stalled)
        self._forget(self._look)
        super().handle_websocket_upgrade()
        successor = self.transport.get_protocol()
        told = successor.connection_lost

        def connection_lost(exc: Exception | None) -> None:
            self._leave()
            told(exc)

        successor.connection_lost = connection_lost  # type: ignore[method-assign]  # its class is the operator's

    def _leave(self) -> None:
        if self._address is not None:
            self._admission.leave(self._address)
            self._address = None

    # -- heads ---------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._lingering:
            return
        begun = self._in_head
        super().data_received(data)
        if begun and self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._bounds.max_head_bytes:
                self._refuse_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        if self._timer is None:
            self._timer = self.loop.call_later(self._bounds.head_s, self._head_is_late)

    def on_header(self, name: bytes, value: bytes) -> None:
        """White space around a value is no part of it (RFC 9110, 5.5); the parser leaves what stands at its end."""
        super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._forget(self._timer)
        self._timer = None
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self._bounds.max_head_bytes or len(self.headers) > self._bounds.max_fields:
            self._refuse_head()
        elif not self._lingering:
            self._timer = self.loop.call_later(self._bounds.body_s, self._body_is_late)
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._lingering:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._lingering:
            self._forget(self._timer)
            self._timer = None
            super().on_message_complete()

    def _head_is_late(self) -> None:
        if self._is_answering():  # pipelined: nobody waits for it yet
            self._timer = self.loop.call_later(self._bounds.head_s, self._head_is_late)
            return
        self._timer = None
        logger.info("http.head_too_slow address=%s", self._address)
        self._refuse(*to_http(TooSlow(f"the request's head did not arrive within {self._bounds.head_s:g} s")))

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        if self._is_answering():
            self.transport.abort()
        else:
            self._refuse(400, http_body("the request is not HTTP/1.1", {"code": InvalidParams.code}))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse_head(self) -> None:
        """RFC 6585, section 5."""
        if self._is_answering():
            self.transport.abort()
            return
        limits = f"{self._bounds.max_head_bytes} bytes or {self._bounds.max_fields} fields"
        details = {"code": MessageTooLarge.code}
        self._refuse(431, http_body(f"the request's head is above {limits}", details))

    # -- bodies and responses ------------------------------------------------------------------------------------

    def _body_is_late(self) -> None:
        if self.flow.read_paused or self.pipeline:  # it is not read yet, which is not the peer's fault
            self._timer = self.loop.call_later(self._bounds.body_s, self._body_is_late)
            return
        logger.info("http.body_too_slow address=%s", self._address)
        started = self.cycle.response_started
        self.cycle.disconnected = True  # whoever waits for the rest hears that it does not come
        self.cycle.message_event.set()
        if started:
            self.transport.abort()
        else:
            self._refuse(*to_http(TooSlow(f"the request's body did not arrive within {self._bounds.body_s:g} s")))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body and not self.transport.is_closing():
            self._linger()  # the rest of a body that was answered before its end would count as a request

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_taking()

    def resume_writing(self) -> None:
        self._forget(self._stalled)
        self._stalled = None
        self.transport.set_write_buffer_limits()
        super().resume_writing()

    def _look_for_leftovers(self) -> None:
        """What is too little to pause writing may wait for ever, too: a limit of 0 makes it pause."""
        self._look = self.loop.call_later(self._bounds.stall_s, self._look_for_leftovers)
        if self.transport.get_write_buffer_size() and self._stalled is None:
            self.transport.set_write_buffer_limits(high=0)

    def _await_taking(self) -> None:
        waiting = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(self._bounds.stall_s, self._check_taking, waiting)

    def _check_taking(self, waiting_before: int) -> None:
        if waiting_before - self.transport.get_write_buffer_size() >= self._bounds.taken_bytes:
            self._await_taking()
            return
        logger.info("http.response_not_taken address=%s", self._address)
        self.transport.abort()

    # -- ending --------------------------------------------------------------------------------------------------

    def _refuse(self, status: int, body: dict[str, Any]) -> None:
        """Say why, and close."""
        if self._lingering or self.transport.is_closing():
            return
        content = encode(body)
        retry = b"retry-after: 1\r\n" if status == 503 else b""
        self.transport.write(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\n%sconnection: close\r\n\r\n%s"
            % (STATUS_LINE[status], len(content), retry, content)
        )
        self._linger()

    def _linger(self) -> None:
        """Close once the peer has, or after `linger_s`; at once closing would throw away what was just written."""
        self._lingering = True
        self._admission.lingering += 1
        self._unset_keepalive_if_required()
        self._forget(self._timer)
        if self._admission.lingering > MAX_LINGERING or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._timer = self.loop.call_later(self._bounds.linger_s, self.transport.abort)

    def _forget(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()
