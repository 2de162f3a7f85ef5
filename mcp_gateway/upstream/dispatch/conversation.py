"""One call over Streamable HTTP: what comes back, whichever way it comes.

Bodies and events enter; the call ends with its outcome, everything before it is
handed to `inbound` in order. A stream that ends early leaves where to resume it.
"""

from __future__ import annotations

import re

from mcp_gateway.errors import UpstreamProtocolError
from mcp_gateway.upstream.dispatch.answers import broken, outcome_of
from mcp_gateway.upstream.dispatch.event_stream import EventStream, ServerSentEvent
from mcp_gateway.upstream.dispatch.exchange import Exchange
from mcp_gateway.upstream.dispatch.ids import our_id
from mcp_gateway.upstream.dispatch.inbound import Inbound
from mcp_gateway.upstream.dispatch.pending import Pending
from mcp_gateway.wire import Envelope, Malformed, decode

DEFAULT_RETRY_S = 1.0
MIN_RETRY_S = 0.1
MAX_RETRY_S = 30.0
"""Bounds of a server's `retry:` wish, and what holds without one. Our choice: never a busy loop, never an hour."""

_EVENT_ID = re.compile(r"[\x20-\x7e]{1,1024}")  # what we are ready to send back in a header


class Conversation:
    """The exchanges of one call. `stream` is the latest event stream, once it brought an event."""

    def __init__(self, server: str, call: Pending, inbound: Inbound) -> None:
        self.call = call
        self.stream: EventStream | None = None
        self._server = server
        self._inbound = inbound

    @property
    def is_over(self) -> bool:
        return self.call.outcome.done()

    @property
    def event_id(self) -> str | None:
        return resume_id(self.stream)

    def take_event(self, exchange: Exchange, event: ServerSentEvent) -> None:
        """Raises UpstreamProtocolError: an event that is no message ends the call at once."""
        self.stream = exchange.stream
        if event.type != "message" or not event.data:
            return
        message = self._decode(event.data)
        if message.method is not None:
            self._inbound.hear_on_call(message, self.call)
        else:
            self._end_with(message)
            exchange.settle()

    def take_body(self, exchange: Exchange) -> None:
        """The answer is a whole body. Raises UpstreamProtocolError when it is none."""
        if not exchange.body:
            raise broken(self._server, f"an empty body (HTTP {exchange.status})")
        if exchange.content_type != "application/json":
            raise broken(self._server, "a body that is neither application/json nor text/event-stream")
        message = self._decode(exchange.body)
        if message.method is not None:
            raise broken(self._server, "a message with a method, where the answer should be")
        self._end_with(message)

    def _decode(self, data: bytes) -> Envelope:
        try:
            return decode(data)
        except Malformed as fault:
            raise broken(self._server, str(fault)) from None

    def _end_with(self, answer: Envelope) -> None:
        if our_id(answer.id) == self.call.id or (answer.id is None and answer.error):
            self.call.end(outcome_of(self._server, answer))
        else:
            self.call.end(_other_id(self._server))


def resume_id(stream: EventStream | None) -> str | None:
    """The `Last-Event-ID` to send, or None when the stream gave none that a header can carry."""
    if stream is None or not _EVENT_ID.fullmatch(stream.last_event_id):
        return None
    return stream.last_event_id


def retry_s(stream: EventStream | None) -> float:
    """How long to wait before the stream is asked for again."""
    if stream is None or stream.retry_ms is None:
        return DEFAULT_RETRY_S
    return min(max(stream.retry_ms / 1000, MIN_RETRY_S), MAX_RETRY_S)


def _other_id(server: str) -> UpstreamProtocolError:
    return broken(server, "it answers another request")
