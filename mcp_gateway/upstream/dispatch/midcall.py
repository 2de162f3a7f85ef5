"""Mid-call traffic of a pipe: whose it is, and what is refused.

Notifications and questions of one upstream enter; they leave through the sink of
the call they belong to, or through the listener. On a pipe only progress and
listen streams carry an address. Anything else belongs to a call only while all
calls in flight have one owner: a guess could show one client another's prompt.
"""

from __future__ import annotations

from collections.abc import Callable

from mcp_gateway.call import Sink
from mcp_gateway.upstream.dispatch.base import Listener, disconnected
from mcp_gateway.upstream.dispatch.ids import our_id, read_id, subscription_of
from mcp_gateway.upstream.dispatch.pending import LISTEN, Pending, PendingCalls
from mcp_gateway.upstream.dispatch.questions import NOBODY, Questions
from mcp_gateway.upstream.dispatch.rate import RateGate
from mcp_gateway.wire import RawParams, RequestId

LOGS_PER_S = 100
"""`notifications/message` passed on per second; more are dropped and counted (security facts, 3.4 floods)."""

_CONNECTION_WIDE = frozenset(
    {
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
    }
)
"""About the upstream, never about one call: always for the listener."""


class MidCall:
    """Routes what one upstream sends besides answers."""

    def __init__(
        self,
        server: str,
        calls: PendingCalls,
        questions: Questions,
        *,
        listener: Listener,
        count: Callable[[str], None],
    ) -> None:
        self._server = server
        self._calls = calls
        self._questions = questions
        self._listener = listener
        self._count = count
        self._log_gate = RateGate(LOGS_PER_S)

    def notification(self, method: str, params: RawParams) -> None:
        if method == "notifications/progress":
            self._progress(method, params)
        elif method == "notifications/cancelled":
            self._cancelled(params)
        elif method == "notifications/message" and not self._log_gate.allows():
            self._count("log_flood")
        else:
            sink = self._sink_of(method, params)
            deliver = self._listener if sink is None else sink.notify
            deliver(method, params)

    def question(self, id: RequestId, method: str, params: RawParams) -> bool:
        """Have it answered; False when it must be refused, as too many are open."""
        return self._questions.ask(id, method, params, self._calls.sole_sink() or NOBODY)

    def take(self, id: int | None) -> Pending | None:
        """The call that is over, None when it was already; an owner without another has nobody to answer questions."""
        call = self._calls.take(id)
        if call is not None and not self._calls.has_owner(call.sink.owner):
            self._questions.end_of(call.sink.owner)
        return call

    def _progress(self, method: str, params: RawParams) -> None:
        call = self._calls.get(our_id(read_id(params.get("progressToken"))))
        if call is None or call.sink.token is None:
            self._count("late_progress")
        else:
            call.sink.notify(method, params)

    def _sink_of(self, method: str, params: RawParams) -> Sink | None:
        """Whose notification it is; None: the listener's."""
        listen = self._calls.get(subscription_of(params))
        if listen is not None:
            return listen.sink
        if method in _CONNECTION_WIDE:
            return None
        sink = self._calls.sole_sink()
        return sink if sink is not None and sink.owner else None

    def _cancelled(self, params: RawParams) -> None:
        """The upstream takes back a question, or ends a listen.

        Its ids and ours overlap: once it has asked anything, only a listen is ended by it.
        """
        id = read_id(params.get("requestId"))
        if id is None or self._questions.withdraw(id):
            return
        call = self._calls.get(our_id(id))
        if call is None or (self._questions.were_asked and call.method != LISTEN):
            self._count("late_cancel")
            return
        self.take(call.id)
        call.end(disconnected(self._server, "ended the request by itself"))
