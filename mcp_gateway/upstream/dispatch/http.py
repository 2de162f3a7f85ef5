"""Streamable HTTP: one POST for each message, the answer as JSON or as an event stream.

Calls enter, raw results leave. The wire below is `origin`'s, what the upstream says
unasked is `inbound`'s, the standing GET stream is `standing`'s. Knows both eras: a
legacy connection has a session, a GET stream and `notifications/cancelled`; a modern
one (2026-07-28) has none of them, and closing a call's stream is the cancel.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from types import TracebackType

import anyio

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.errors import GatewayError, OperatorError, RpcError, TryLater, UpstreamDisconnected
from mcp_gateway.revisions import at_least, is_modern
from mcp_gateway.upstream.dispatch import headers as header_fields
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener, disconnected
from mcp_gateway.upstream.dispatch.conversation import Conversation, retry_s
from mcp_gateway.upstream.dispatch.exchange import Exchange, OnEvent
from mcp_gateway.upstream.dispatch.http_session import HttpSession
from mcp_gateway.upstream.dispatch.inbound import Inbound
from mcp_gateway.upstream.dispatch.notices import Notices
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.dispatch.outgoing import notification_line, request_line
from mcp_gateway.upstream.dispatch.pending import PendingCalls
from mcp_gateway.upstream.dispatch.questions import Questions
from mcp_gateway.upstream.dispatch.standing import StandingStream
from mcp_gateway.upstream.dispatch.status import refusal
from mcp_gateway.wire import Raw, RawParams

LAST_NOTICES_S = 0.4
FAREWELL_S = 1.0
"""How long leaving waits for notices under way, and then for the session's DELETE."""

MAX_BARREN_RESUMES = 5
"""Resumed streams in a row that brought nothing before a call is given up (our choice)."""

_CUT_OFF = "ended its event stream before the answer"
_NOT_RESUMED = _CUT_OFF + " and does not resume it"
_GET_STREAM_SINCE = "2025-03-26"


class SessionExpired(UpstreamDisconnected):
    """The upstream has forgotten our session (404); nothing was executed, so a new session may repeat the request."""


class HttpDispatcher(Dispatcher):
    """A Streamable HTTP upstream.

    Entering does not connect: a connection is made when a message needs one. `closed`
    is set only by leaving. `initialize` may be called again after SessionExpired; it
    begins a new session.
    """

    def __init__(self, origin: Origin, *, listener: Listener) -> None:
        """`origin` is closed with the connection."""
        super().__init__(origin.server, listener=listener, max_message_bytes=origin.max_message_bytes)
        self._origin = origin
        self._calls = PendingCalls()
        self._is_open = False
        self._session = HttpSession()
        self._initialized = False
        self._standing: StandingStream | None = None

    async def __aenter__(self) -> HttpDispatcher:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._notices = Notices(self._tasks, self._post, self.count)
        questions = Questions(self._tasks, self._post, self.count)
        self._inbound = Inbound(self, self._calls, questions, self._notices)
        self._is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False
        self._stop_standing()
        try:
            with anyio.move_on_after(LAST_NOTICES_S, shield=True):
                await self._notices.all_sent()
            with anyio.move_on_after(FAREWELL_S, shield=True):
                await self._end_session()
            with anyio.CancelScope(shield=True):
                await self._origin.aclose()
        finally:
            self.closed.set()
            self._tasks.cancel_scope.cancel()
            await self._tasks.__aexit__(None, None, None)

    async def call(
        self, method: str, params: RawParams | None, sink: Sink = QUIET, *, headers: Mapping[str, str] | None = None
    ) -> Raw:
        """See `Dispatcher.call`.

        Raises besides: SessionExpired, when a new session may be opened and the call repeated.
        """
        self._check_open()
        if method == "initialize":
            self._forget_session()
        id = self.mint()
        body = request_line(id, method, params, wants_progress=sink.token is not None)
        call = self._calls.add(id, method, sink)
        try:
            await self._converse(Conversation(self.server, call, self._inbound), body, headers)
        except asyncio.CancelledError:
            self._cancel(id, method)
            raise
        finally:
            self._inbound.call_ended(call)
        outcome = call.outcome.result()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def notify(self, method: str, params: RawParams | None = None) -> None:
        self._check_open()
        await self._post(notification_line(method, params))
        if method == "notifications/initialized":
            self._initialized = True
            self._open_standing()

    def negotiated(self, revision: str) -> None:
        super().negotiated(revision)
        self._session.negotiated(revision)
        self._open_standing()

    # One call.

    async def _converse(self, talk: Conversation, body: bytes, headers: Mapping[str, str] | None) -> None:
        method = talk.call.method
        try:
            exchange = await self._send(
                "POST",
                body,
                headers=headers,
                on_event=talk.take_event,
                resend=method != "tools/call",
                id=talk.call.id,
            )
        except UpstreamDisconnected:
            if not self._may_resume(talk):
                raise
        else:
            if exchange.stream is None:
                talk.take_body(exchange)
            if method == "initialize":
                self._session.begin(self.server, exchange)
        if not talk.is_over:
            await self._resume(talk)

    async def _resume(self, talk: Conversation) -> None:
        """Ask for the rest of a stream that ended before the answer (2025-11-25, resumability; SEP-1699)."""
        barren = 0
        while not talk.is_over:
            last_id = talk.event_id
            if last_id is None or barren == MAX_BARREN_RESUMES or not self._may_resume(talk):
                raise disconnected(self.server, _CUT_OFF)
            await anyio.sleep(retry_s(talk.stream))
            await self._resume_once(talk, last_id)
            barren = barren + 1 if talk.event_id == last_id else 0

    async def _resume_once(self, talk: Conversation, last_id: str) -> None:
        """Raises UpstreamDisconnected when the upstream refuses: the call may have run all the same."""
        try:
            exchange = await self._listen(last_id, talk.take_event)
        except (TryLater, OperatorError) as error:
            if error.status is None and isinstance(error, OperatorError):
                raise  # the stream itself is bad
            if error.status is not None and error.status < 500 and error.status != 429:
                raise disconnected(self.server, _NOT_RESUMED) from None
        else:
            if exchange.stream is None:
                raise disconnected(self.server, _NOT_RESUMED)

    def _may_resume(self, talk: Conversation) -> bool:
        return talk.event_id is not None and not self._is_modern()

    def _cancel(self, id: int, method: str) -> None:
        """On a modern connection the closed stream has said it; `initialize` is never cancelled by a message."""
        if self._is_open and self.revision is not None and not self._is_modern() and method != "initialize":
            self._notices.post(notification_line("notifications/cancelled", {"requestId": id}))

    # Exchanges.

    async def _send(
        self,
        verb: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        extra: bytes = b"",
        on_event: OnEvent | None = None,
        resend: bool = True,
        id: int | None = None,
    ) -> Exchange:
        """One exchange with the session's headers, its status checked."""
        session = self._session.id
        lines = extra + self._session.lines(headers)
        exchange = await self._origin.send(verb, body, extra=lines, headers=headers, on_event=on_event, resend=resend)
        if exchange.status == 404 and session is not None:
            expired = SessionExpired(f"upstream {self.server!r} has forgotten the session", server=self.server)
            expired.status = exchange.status
            raise expired
        if not 200 <= exchange.status < 300:
            raise refusal(self.server, exchange, id)
        return exchange

    async def _post(self, message: bytes) -> None:
        await self._send("POST", message)

    async def _listen(self, last_event_id: str | None, on_event: OnEvent) -> Exchange:
        extra = header_fields.lines({"last-event-id": last_event_id}) if last_event_id else b""
        return await self._send("GET", extra=extra, on_event=on_event)

    # The session.

    def _forget_session(self) -> None:
        self._stop_standing()
        self._session.forget()
        self._initialized = False
        self.revision = None

    async def _end_session(self) -> None:
        if self._session.id is not None:
            with contextlib.suppress(GatewayError, RpcError):
                await self._send("DELETE")

    def _open_standing(self) -> None:
        """Once both are known: the session is initialized, and its revision has such a stream."""
        revision = self.revision
        if self._standing is not None or not self._initialized or revision is None:
            return
        if at_least(revision, _GET_STREAM_SINCE) and not is_modern(revision):
            self._standing = StandingStream(self.server, self._inbound, self._listen, self.count)
            self._tasks.start_soon(self._standing.keep)

    def _stop_standing(self) -> None:
        if self._standing is not None:
            self._standing.stop()
            self._standing = None

    def _is_modern(self) -> bool:
        return self.revision is not None and is_modern(self.revision)

    # Faults.

    def _check_open(self) -> None:
        if not self._is_open:
            raise disconnected(self.server, "is not connected")
