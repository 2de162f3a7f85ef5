"""What an upstream says unasked over Streamable HTTP, and whom it concerns.

Decoded messages enter; sinks, the listener and the questions hear them. On a call's
own stream the call is known; on the standing stream only progress names one.
"""

from __future__ import annotations

import logging

from mcp_gateway.call import Sink
from mcp_gateway.revisions import is_modern
from mcp_gateway.upstream.dispatch.base import Dispatcher
from mcp_gateway.upstream.dispatch.ids import our_id, read_id
from mcp_gateway.upstream.dispatch.midcall import LOGS_PER_S
from mcp_gateway.upstream.dispatch.notices import Notices
from mcp_gateway.upstream.dispatch.pending import Pending, PendingCalls
from mcp_gateway.upstream.dispatch.questions import NOBODY, TOO_MANY, Questions
from mcp_gateway.upstream.dispatch.rate import RateGate
from mcp_gateway.wire import Envelope, RawParams, RequestId, error_reply

logger = logging.getLogger(__name__)

_OF_THE_SESSION = frozenset(
    {
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
    }
)
"""Before 2026-07-28 these concern the session, whichever stream carries them; since then, the listen call."""


class Inbound:
    """The ear of one Streamable HTTP upstream."""

    def __init__(self, dispatcher: Dispatcher, calls: PendingCalls, questions: Questions, notices: Notices) -> None:
        self._dispatcher = dispatcher
        self._calls = calls
        self._questions = questions
        self._notices = notices
        self._log_gate = RateGate(LOGS_PER_S)

    def hear_on_call(self, message: Envelope, call: Pending) -> None:
        """A message on the stream that answers `call`."""
        if message.method is not None:
            self._hear(message.method, message, call.sink, call.sink)

    def hear_standing(self, message: Envelope) -> None:
        """A message on the standing stream: for the listener, unless it names a call."""
        if message.method is None:
            self._dispatcher.count("late_answer")
        else:
            self._hear(message.method, message, None, self._calls.sole_sink() or NOBODY)

    def call_ended(self, call: Pending) -> None:
        """The call is over, and so are the questions of an owner who has no other."""
        self._calls.take(call.id)
        if not self._calls.has_owner(call.sink.owner):
            self._questions.end_of(call.sink.owner)

    def _hear(self, method: str, message: Envelope, sink: Sink | None, asked: Sink) -> None:
        params = message.params or {}
        try:
            if message.id is None:
                self._notification(method, params, sink)
            else:
                self._question(message.id, method, params, asked)
        except Exception:  # boundary: sinks and the listener are not ours
            self._dispatcher.count("receiver_failed")
            logger.exception("upstream.receiver_failed name=%s", self._dispatcher.server)

    def _notification(self, method: str, params: RawParams, sink: Sink | None) -> None:
        if method == "notifications/progress":
            self._progress(method, params)
        elif method == "notifications/cancelled":
            self._cancelled(params)
        elif method == "notifications/message" and not self._log_gate.allows():
            self._dispatcher.count("log_flood")
        elif sink is None or (method in _OF_THE_SESSION and not self._is_modern()):
            self._dispatcher.listener(method, params)
        else:
            sink.notify(method, params)

    def _progress(self, method: str, params: RawParams) -> None:
        call = self._calls.get(our_id(read_id(params.get("progressToken"))))
        if call is None or call.sink.token is None:
            self._dispatcher.count("late_progress")
        else:
            call.sink.notify(method, params)

    def _cancelled(self, params: RawParams) -> None:
        """The upstream takes a question back; our calls it can only answer."""
        id = read_id(params.get("requestId"))
        if id is None or not self._questions.withdraw(id):
            self._dispatcher.count("late_cancel")

    def _question(self, id: RequestId, method: str, params: RawParams, asked: Sink) -> None:
        if self._is_modern():
            self._dispatcher.count("forbidden_question")  # nor may we answer (2026-07-28, transports/streamable-http)
        elif not self._questions.ask(id, method, params, asked):
            self._dispatcher.count("question_flood")
            self._notices.post(error_reply(id, TOO_MANY))

    def _is_modern(self) -> bool:
        return self._dispatcher.revision is not None and is_modern(self._dispatcher.revision)
