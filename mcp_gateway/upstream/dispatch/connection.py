"""One HTTP/1.1 connection, used for one exchange at a time.

A request leaves as bytes, the parser's callbacks feed the exchange. The connection
knows its pool only by two callables: it is free again, or it is gone.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import Callable
from typing import cast

import httptools

from mcp_gateway.errors import GatewayError, InternalError, UpstreamProtocolError
from mcp_gateway.upstream.dispatch.base import disconnected
from mcp_gateway.upstream.dispatch.exchange import Exchange

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
"""Status line and headers of one response. Our choice: servers send under 8 KiB; above this it is a flood."""

DRAIN_S = 1.0
"""How long a stream may stay open after its answer before the connection is closed instead of kept."""


class Connection(asyncio.Protocol):
    """A connection of a pool.

    Attributes:
        used: it has carried an exchange before.
        lost: it has ended.
        idle_since_s: loop time of its last answer's end.
    """

    def __init__(self, server: str, free: Callable[[Connection], None], gone: Callable[[Connection], None]) -> None:
        self.used = False
        self.lost = False
        self.idle_since_s = 0.0
        self._server = server
        self._free = free
        self._gone = gone
        self._exchange: Exchange | None = None
        self._transport: asyncio.Transport  # from connection_made on; the pool hands out nothing earlier
        self._poll: Callable[[], bool] = lambda: True
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._in_head = True
        self._until_close = False
        self._drain: asyncio.TimerHandle | None = None

    # Used by the pool and the sender.

    def start(self, request: bytes, exchange: Exchange) -> None:
        """Send one request; the exchange hears the rest."""
        self._exchange = exchange
        self._transport.write(request)

    def is_usable(self) -> bool:
        """True while the other end has neither closed nor spoken out of turn.

        Looks at the socket itself, not only at what the event loop has read so far: a
        request that may not be sent twice must not be written to a dead connection.
        """
        return not self._transport.is_closing() and not self._poll()

    def abandon(self, exchange: Exchange) -> None:
        """Close, unless this exchange has already made room for another."""
        if self._exchange is exchange:
            self._exchange = None
            self.abort()

    def abort(self) -> None:
        self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are transports by shape alone
        self._poll = _readable(transport.get_extra_info("socket").fileno())

    def data_received(self, data: bytes) -> None:
        if self._exchange is None:
            self.abort()  # nobody asked
            return
        self._exchange.touched = True
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError:  # boundary: a callback of ours failed inside the parser
            logger.exception("http.callback_failed server=%s", self._server)
            self._fail(InternalError(f"the answer of upstream {self._server!r} could not be read", server=self._server))
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(self._broken())
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._fail(self._head_too_large())

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        if self._drain is not None:
            self._drain.cancel()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            if self._until_close and error is None:
                exchange.end()
            else:
                when = "in the middle of its answer" if exchange.touched else "before it answered"
                exchange.fail(disconnected(self._server, f"closed the connection {when}"))
        self._gone(self)

    # httptools callbacks

    def on_message_begin(self) -> None:
        if self._exchange is None:
            self.abort()  # more than was asked for: what follows would be taken for the next answer

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer
        name = name.lower()
        known = self._headers.get(name)
        self._headers[name] = value if known is None else known + b", " + value

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, {}
        status = self._parser.get_status_code()
        if status < 200 or self._exchange is None:
            return
        if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEAD_BYTES:
            self._fail(self._head_too_large())
            return
        self._in_head = False
        self._until_close = b"content-length" not in headers and b"transfer-encoding" not in headers
        try:
            self._exchange.begin(status, headers)
        except GatewayError as refused:
            self._fail(refused)

    def on_body(self, chunk: bytes) -> None:
        if self._exchange is None:
            return
        try:
            self._exchange.feed(chunk)
        except GatewayError as refused:
            self._fail(refused)
        else:
            if self._drain is None and self._exchange.done.done():
                self._drain = asyncio.get_running_loop().call_later(DRAIN_S, self.abort)

    def on_message_complete(self) -> None:
        if self._in_head or self._exchange is None:
            return  # 1xx: the response itself is still to come
        exchange, self._exchange = self._exchange, None
        self._in_head = True
        self._head_bytes = 0
        self._until_close = False
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        self.used = True
        if self._parser.should_keep_alive():
            self._free(self)
        else:
            self.abort()
        exchange.end()

    # Faults

    def _fail(self, error: GatewayError) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(error)
        self.abort()

    def _broken(self) -> GatewayError:
        if self._in_head:
            return UpstreamProtocolError(
                f"upstream {self._server!r} answered with something that is not HTTP/1.1", server=self._server
            )
        return disconnected(self._server, "broke off its answer: the body is not framed as HTTP/1.1 asks")

    def _head_too_large(self) -> GatewayError:
        return UpstreamProtocolError(
            f"upstream {self._server!r} sent more than {MAX_HEAD_BYTES} bytes of headers", server=self._server
        )


def _readable(descriptor: int) -> Callable[[], bool]:
    """A cheap question: is there anything to read, or has the other end closed?"""
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return lambda: bool(poll.poll(0))
    return lambda: bool(select.select([descriptor], [], [], 0)[0])
