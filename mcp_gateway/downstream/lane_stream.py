"""One response of the fast lane: a JSON body, or an event stream once something is said before the answer."""

from __future__ import annotations

from typing import Final

import anyio
from starlette.types import Send

_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")
"""An event's data is one line; between the tokens of JSON a space is as good (RFC 8259, section 2)."""

_STREAM_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events otherwise
)
_COMMENT: Final = b": ping\r\n\r\n"


class LaneStream:
    """Messages go out in the order they were given; `session` stands in the headers where there is one."""

    def __init__(self, send: Send, session: str) -> None:
        self._send = send
        self._session = ((b"mcp-session-id", session.encode("latin-1")),) if session else ()
        self._is_stream = False
        self._has_ended = False
        self._turn: anyio.Lock | None = None

    async def event(self, message: bytes) -> None:
        """A message before the answer; one that comes after it is dropped."""
        await self._put(_event(message))

    async def ping_every(self, period_s: float) -> None:
        """Comments until cancelled, so that nothing between the two takes the connection for dead."""
        while True:
            await anyio.sleep(period_s)
            await self._put(_COMMENT)

    async def finish(self, message: bytes, status: int) -> None:
        """The answer; `status` is told where the response has not begun."""
        if self._turn is None:  # as for most calls: nothing was said, and no lock made
            await self._answer(message, status)
            return
        async with self._turn:
            await self._answer(message, status)

    async def end(self) -> None:
        """There is no more; where nothing was said at all, it is accepted (2025-11-25, basic/transports)."""
        self._has_ended = True
        if not self._is_stream:
            headers = [(b"content-length", b"0"), *self._session]
            await self._send({"type": "http.response.start", "status": 202, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer(self, message: bytes, status: int) -> None:
        self._has_ended = True
        if self._is_stream:
            await self._send({"type": "http.response.body", "body": _event(message)})
            return
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(message)), *self._session]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": message})

    async def _put(self, body: bytes) -> None:
        if self._turn is None:
            self._turn = anyio.Lock()
        async with self._turn:
            if self._has_ended:
                return
            if not self._is_stream:
                headers = [*_STREAM_HEADERS, *self._session]
                await self._send({"type": "http.response.start", "status": 200, "headers": headers})
                self._is_stream = True  # not before: who is cancelled in the line above has begun nothing
            await self._send({"type": "http.response.body", "body": body, "more_body": True})


def _event(message: bytes) -> bytes:
    return b"event: message\r\ndata: %b\r\n\r\n" % message.translate(_LINE_BREAKS)
