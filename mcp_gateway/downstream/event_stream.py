"""Answers that are made while the client waits: as an event stream (HTML, server-sent events), or whole.

A call that writes to a sink enters, a response leaves. A client that goes away ends its call. What is called, and who
may call it, is decided elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Final

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mcp_gateway.call import Sink
from mcp_gateway.downstream.call_events import CallEvent, CallEvents
from mcp_gateway.downstream.failures import Failure, told
from mcp_gateway.wire import encode

logger = logging.getLogger(__name__)

HEARTBEAT_S: Final = 10.0
"""Silence that a comment breaks, so that no proxy takes the connection for dead (hosts facts, finding 7)."""

TAKEN_WITHIN_S: Final = 60.0
"""A client that has not taken what was sent by then has stopped reading; its call ends with it (our choice)."""

_COMMENT: Final = b":\n\n"

MEDIA_TYPE: Final = "text/event-stream"

_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would collect events otherwise
)

Run = Callable[[Sink], Awaitable[bytes]]
"""Makes the call; its answer as JSON. Raises GatewayError, RpcError."""


class _Pause(Enum):
    SILENCE = "nothing happened for a heartbeat"
    END = "the call has ended"


async def whole(run: Callable[[], Awaitable[bytes]], receive: Receive) -> Response:
    """The answer as JSON. Raises what `run` raises, and ClientDisconnect when the client has left meanwhile."""
    answer: bytes | Exception = ClientDisconnect()
    async with anyio.create_task_group() as group:
        group.start_soon(_until_left, receive, group.cancel_scope)
        try:
            answer = await run()
        except Exception as raised:  # boundary: the group would wrap it; it goes on unchanged below
            answer = raised
        group.cancel_scope.cancel()
    if isinstance(answer, Exception):
        raise answer
    return Response(answer, media_type="application/json")


class EventStream(Response):
    """The events of a call, then `done` with its answer or `error` with the error body.

    A call that fails before anything happened is answered as if nobody had asked for a stream: with its status.
    """

    def __init__(
        self, run: Run, owner: str, heartbeat_s: float = HEARTBEAT_S, taken_within_s: float = TAKEN_WITHIN_S
    ) -> None:
        """`owner` is the `Client.key` of the call."""
        super().__init__(media_type=MEDIA_TYPE)
        self._run = run
        self._events = CallEvents(owner)
        self._heartbeat_s = heartbeat_s
        self._taken_within_s = taken_within_s
        self._outcome: bytes | Failure = b""
        self._has_begun = False
        self._sent = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_left, receive, group.cancel_scope)
            group.start_soon(self._call)
            try:
                await self._write(scope, receive, send)
            except TimeoutError:
                logger.info("event_stream.reader_stopped")
            group.cancel_scope.cancel()
        if self._events.dropped:
            logger.info("event_stream.slow_reader dropped=%d", self._events.dropped)

    async def _call(self) -> None:
        try:
            self._outcome = await self._run(self._events)
        except Exception as raised:  # boundary: whatever is wrong in here costs one request
            self._outcome = told(raised)
        finally:
            self._events.close()

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises TimeoutError when the client does not take what is sent."""
        while (event := await self._next()) is not _Pause.END:
            frame = self._frame(event.kind, encode(event.data)) if isinstance(event, CallEvent) else _COMMENT
            await self._send(send, frame)
        match self._outcome:
            case Failure() as failure if not self._has_begun:
                await failure.response()(scope, receive, send)
            case Failure() as failure:
                await self._send(send, self._frame("error", encode(failure.body)), is_last=True)
            case bytes() as answer:
                await self._send(send, self._frame("done", answer), is_last=True)

    async def _send(self, send: Send, body: bytes, *, is_last: bool = False) -> None:
        if not self._has_begun:
            self._has_begun = True
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        with anyio.fail_after(self._taken_within_s):
            await send({"type": "http.response.body", "body": body, "more_body": not is_last})

    async def _next(self) -> CallEvent | _Pause:
        with anyio.move_on_after(self._heartbeat_s):
            try:
                return await anext(self._events)
            except StopAsyncIteration:
                return _Pause.END
        return _Pause.SILENCE

    def _frame(self, kind: str, data: bytes) -> bytes:
        """An event; JSON of others may span lines, and each line is a field of its own (HTML, 9.2.6)."""
        self._sent += 1
        lines = b"\n".join(b"data: " + line for line in data.splitlines())
        return b"id: %d\nevent: %b\n%b\n\n" % (self._sent, kind.encode(), lines)


async def _until_left(receive: Receive, waiting: anyio.CancelScope) -> None:
    """Cancel once the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()
