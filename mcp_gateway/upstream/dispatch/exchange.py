"""One request on its way over HTTP and what has come back of it.

A connection feeds it (`begin`, `feed`, `end`, `fail`); whoever sent the request
waits for `done`. A JSON body is joined and left as bytes; an event stream is cut into
events, which are heard at once and in order. Refuses what is compressed or too large.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from mcp_gateway.errors import GatewayError, UpstreamMessageTooLarge, UpstreamProtocolError
from mcp_gateway.upstream.dispatch.event_stream import EventStream, EventTooLarge, ServerSentEvent

OnEvent = Callable[["Exchange", ServerSentEvent], None]
"""Hears one event of a streamed answer; may `settle` the exchange, or raise a GatewayError to end it."""


class Exchange:
    """One request and its response.

    Attributes:
        done: resolved when the body or the stream has ended, or the exchange was settled.
        status, headers: of the response; names in lower case, repeated fields joined by commas.
        body: what came, unless it was an event stream.
        stream: the decoder, when the answer is an event stream that somebody hears.
        touched: at least one byte of a response has come.
    """

    __slots__ = ("_chunks", "_max_bytes", "_on_event", "_server", "_size", "body", "done", "headers", "status",
                 "stream", "touched")  # fmt: skip

    def __init__(self, server: str, max_bytes: int, on_event: OnEvent | None = None) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.status = 0
        self.headers: Mapping[bytes, bytes] = {}
        self.body = b""
        self.stream: EventStream | None = None
        self.touched = False
        self._server = server
        self._max_bytes = max_bytes
        self._on_event = on_event
        self._chunks: list[bytes] = []
        self._size = 0

    @property
    def content_type(self) -> str:
        """The media type without its parameters, in lower case."""
        return self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower().decode("latin-1")

    @property
    def challenge(self) -> str | None:
        """The `WWW-Authenticate` header."""
        challenge = self.headers.get(b"www-authenticate")
        return None if challenge is None else challenge.decode("latin-1")

    def begin(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        """Take the head. Raises UpstreamProtocolError or UpstreamMessageTooLarge: the body is not wanted."""
        self.status = status
        self.headers = headers
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UpstreamProtocolError(
                f"upstream {self._server!r} sent a compressed answer, which was not asked for", server=self._server
            )
        if status == 200 and self.content_type == "text/event-stream":
            if self._on_event is None:
                self.settle()  # a notification needs no stream
            else:
                self.stream = EventStream(self._max_bytes)
        elif int(headers.get(b"content-length", b"0")) > self._max_bytes:
            raise self._too_large()

    def feed(self, chunk: bytes) -> None:
        """Take a piece of the body. Raises a GatewayError when the exchange cannot go on."""
        if self.done.done():
            return
        if self.stream is not None:
            self._hear(self.stream, chunk)
            return
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise self._too_large()
        self._chunks.append(chunk)

    def _hear(self, stream: EventStream, chunk: bytes) -> None:
        try:
            events = stream.feed(chunk)
        except EventTooLarge:
            raise self._too_large() from None
        for event in events:
            if self._on_event is None or self.done.done():
                return
            self._on_event(self, event)

    def end(self) -> None:
        """The body is complete."""
        self.body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self.settle()

    def settle(self) -> None:
        """Nothing more is needed, whatever else may come."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: GatewayError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def _too_large(self) -> UpstreamMessageTooLarge:
        return UpstreamMessageTooLarge(
            f"upstream {self._server!r} sent a message of more than {self._max_bytes} bytes; raise limits.max_result",
            server=self._server,
        )
