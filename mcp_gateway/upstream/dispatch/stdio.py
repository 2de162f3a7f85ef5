"""The wire to a child process: newline-delimited JSON-RPC, many calls on one pipe.

Calls enter, raw results leave. A line that is not the protocol costs at most the
one call it was meant to answer; the connection ends only with the child. Mid-call
traffic carries no address on a pipe, so it reaches a caller only when it cannot be
anybody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from types import TracebackType

import anyio

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.errors import UpstreamMessageTooLarge, UpstreamProtocolError
from mcp_gateway.revisions import is_modern
from mcp_gateway.upstream.dispatch.answers import broken, outcome_of
from mcp_gateway.upstream.dispatch.base import MAX_MESSAGE_BYTES, Dispatcher, Listener, disconnected
from mcp_gateway.upstream.dispatch.framer import LineFramer, Overlong
from mcp_gateway.upstream.dispatch.ids import our_id
from mcp_gateway.upstream.dispatch.midcall import MidCall
from mcp_gateway.upstream.dispatch.outgoing import line, notification_line, request_line
from mcp_gateway.upstream.dispatch.pending import PendingCalls
from mcp_gateway.upstream.dispatch.process import ChildProcess
from mcp_gateway.upstream.dispatch.questions import TOO_MANY, Questions
from mcp_gateway.upstream.dispatch.salvage import salvage_id
from mcp_gateway.wire import Envelope, Malformed, Raw, RawParams, RequestId, decode, error_reply

logger = logging.getLogger(__name__)


class StdioDispatcher(Dispatcher):
    """One child process.

    argv[0] is looked up on the PATH of `env`; `env` is the child's whole environment
    (see `child_environment`). Nothing is started before `__aenter__`.
    """

    def __init__(
        self,
        server: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None = None,
        listener: Listener,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        super().__init__(server, listener=listener, max_message_bytes=max_message_bytes)
        self._argv = argv
        self._env = env
        self._cwd = cwd
        self._closing = False
        self._calls = PendingCalls()
        self._framer = LineFramer(max_message_bytes)
        self._child = ChildProcess(server, on_output=self._on_output, on_end=self._on_end)

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def buffered_bytes(self) -> int:
        """What waits in our memory for the child to read."""
        return self._child.buffered_bytes

    @property
    def stderr_tail(self) -> str:
        return self._child.stderr.text

    async def __aenter__(self) -> StdioDispatcher:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        questions = Questions(self._tasks, self._send, self.count)
        self._midcall = MidCall(self.server, self._calls, questions, listener=self.listener, count=self.count)
        try:
            await self._child.start(self._argv, self._env, self._cwd)
        except BaseException:
            await self._leave()
            raise
        logger.debug("upstream.child_started name=%s pid=%s", self.server, self._child.pid)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_calls("was closed")
        await self._child.stop()
        await self._leave()

    async def _leave(self) -> None:
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def call(
        self, method: str, params: RawParams | None, sink: Sink = QUIET, *, headers: Mapping[str, str] | None = None
    ) -> Raw:
        self._check_open()
        id = self.mint()
        request = request_line(id, method, params, wants_progress=sink.token is not None)
        if self._child.blocked:
            await self._child.until_writable()
            self._check_open()
        call = self._calls.add(id, method, sink)
        self._child.write(request)
        try:
            outcome = await call.outcome
        except asyncio.CancelledError:
            self._abandon(id)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def notify(self, method: str, params: RawParams | None = None) -> None:
        self._check_open()
        notice = notification_line(method, params)
        await self._child.until_writable()
        self._check_open()
        self._child.write(notice)

    async def _send(self, message: bytes) -> None:
        await self._child.until_writable()
        self._child.write(line(message))

    def _abandon(self, id: int) -> None:
        """Tell the upstream that nobody waits any more. Not queued: such notices are fewer than calls written."""
        call = self._midcall.take(id)
        if call is None or call.method == "initialize":
            return  # initialize must not be cancelled (2025-11-25, basic/utilities/cancellation)
        self._child.write(notification_line("notifications/cancelled", {"requestId": id}))

    def _check_open(self) -> None:
        if self._closing:
            raise disconnected(self.server, "is not connected")

    # The end.

    def _on_end(self) -> None:
        ending = self._child.ending()
        self.failure = disconnected(self.server, ending)
        logger.info("upstream.child_ended name=%s pid=%s how=%r", self.server, self._child.pid, ending)
        self._end_calls(f"{ending} while the call was under way")

    def _end_calls(self, what: str) -> None:
        self._closing = True
        for id in self._calls.ids():
            call = self._midcall.take(id)
            if call is not None:
                call.end(disconnected(self.server, what))
        self.closed.set()

    # Incoming lines. Nothing raised here may reach the event loop or stop the reading.

    def _on_output(self, chunk: bytes) -> None:
        for received in self._framer.feed(chunk):
            try:
                self._on_line(received)
            except Exception:  # boundary: sinks and the listener are not ours
                self.count("receiver_failed")
                logger.exception("upstream.receiver_failed name=%s", self.server)

    def _on_line(self, received: bytes | Overlong) -> None:
        if isinstance(received, Overlong):
            self._on_overlong(received)
            return
        try:
            envelope = decode(received)
        except Malformed as fault:
            self._on_bad_line(received, str(fault))
            return
        if envelope.method is None:
            self._on_answer(envelope)
        elif envelope.id is None:
            self._midcall.notification(envelope.method, envelope.params or {})
        else:
            self._on_question(envelope.id, envelope.method, envelope.params or {})

    def _on_overlong(self, overlong: Overlong) -> None:
        """An endless line keeps every other answer away too, so it ends all calls in flight."""
        self.count("overlong_line")
        for id in self._calls.ids() if overlong.endless else (overlong.id,):
            call = self._midcall.take(id)
            if call is not None:
                call.end(self._too_large())

    def _on_bad_line(self, received: bytes, reason: str) -> None:
        self.count("bad_line")
        call = self._midcall.take(salvage_id(received))
        if call is not None:
            call.end(broken(self.server, reason))

    def _too_large(self) -> UpstreamMessageTooLarge:
        reason = f"upstream {self.server!r} sent a message of more than {self.max_message_bytes} bytes"
        return UpstreamMessageTooLarge(f"{reason}; raise limits.max_result", server=self.server)

    def _on_answer(self, envelope: Envelope) -> None:
        """A late answer, a second one, or one to nobody's request is dropped."""
        id = our_id(envelope.id)
        call = self._midcall.take(id)
        if call is None:
            self.count("late_answer" if id is not None and 0 < id <= self._last_id else "unknown_id")
            return
        if isinstance(envelope.id, str):
            self.count("string_id")
        outcome = outcome_of(self.server, envelope)
        if isinstance(outcome, UpstreamProtocolError):
            self.count("bad_answer")
        call.end(outcome)

    def _on_question(self, id: RequestId, method: str, params: RawParams) -> None:
        if self.revision is not None and is_modern(self.revision):
            self.count("forbidden_question")  # neither may it ask nor may we answer (2026-07-28, transports/stdio)
        elif not self._midcall.question(id, method, params):
            self.count("question_flood")
            if not self._child.blocked:  # refusals must not pile up for a child that does not read
                self._child.write(line(error_reply(id, TOO_MANY)))
