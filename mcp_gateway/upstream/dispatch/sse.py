"""Legacy HTTP+SSE (2024-11-05): one event stream for everything that comes, a POST for everything that goes.

Calls enter, raw results leave. The stream is a shared pipe: the rules of `midcall`
decide whom a message without an address concerns. Its end is the end of the connection.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import TracebackType

import anyio

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.errors import (
    GatewayError,
    RpcError,
    UpstreamMessageTooLarge,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.dispatch.address import Address
from mcp_gateway.upstream.dispatch.answers import broken, outcome_of
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener, disconnected, off_protocol
from mcp_gateway.upstream.dispatch.event_stream import ServerSentEvent
from mcp_gateway.upstream.dispatch.exchange import Exchange
from mcp_gateway.upstream.dispatch.ids import our_id
from mcp_gateway.upstream.dispatch.midcall import MidCall
from mcp_gateway.upstream.dispatch.notices import Notices
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.dispatch.outgoing import notification_line, request_line
from mcp_gateway.upstream.dispatch.pending import Pending, PendingCalls
from mcp_gateway.upstream.dispatch.questions import TOO_MANY, Questions
from mcp_gateway.upstream.dispatch.salvage import salvage_id
from mcp_gateway.upstream.dispatch.status import refusal
from mcp_gateway.wire import Envelope, Malformed, Raw, RawParams, decode, error_reply

logger = logging.getLogger(__name__)

ENDPOINT_TIMEOUT_S = 10.0
"""For the stream to open and to name its endpoint. Our choice, as for connecting."""

LAST_NOTICES_S = 0.4
"""How long leaving waits for notices under way."""


class SseDispatcher(Dispatcher):
    """A legacy HTTP+SSE upstream. Entering opens the stream; `closed` is set when it ends."""

    def __init__(self, origin: Origin, *, listener: Listener) -> None:
        """`origin` is closed with the connection."""
        super().__init__(origin.server, listener=listener, max_message_bytes=origin.max_message_bytes)
        self._origin = origin
        self._calls = PendingCalls()
        self._endpoint: Address | None = None
        self._endpoint_known = asyncio.Event()

    async def __aenter__(self) -> SseDispatcher:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        questions = Questions(self._tasks, self._post, self.count)
        self._midcall = MidCall(self.server, self._calls, questions, listener=self.listener, count=self.count)
        self._notices = Notices(self._tasks, self._post, self.count)
        try:
            self._tasks.start_soon(self._hear_stream)
            await self._wait_for_endpoint()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.closed.is_set():
            with anyio.move_on_after(LAST_NOTICES_S, shield=True):
                await self._notices.all_sent()
        await self._leave()

    async def call(
        self, method: str, params: RawParams | None, sink: Sink = QUIET, *, headers: Mapping[str, str] | None = None
    ) -> Raw:
        self._check_open()
        id = self.mint()
        body = request_line(id, method, params, wants_progress=sink.token is not None)
        call = self._calls.add(id, method, sink)
        try:
            await self._post_request(call, body, headers)
            outcome = await call.outcome
        except asyncio.CancelledError:
            self._cancel(id, method)
            raise
        finally:
            self._midcall.take(id)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def notify(self, method: str, params: RawParams | None = None) -> None:
        self._check_open()
        await self._post(notification_line(method, params))

    # Outgoing.

    async def _post_request(self, call: Pending, body: bytes, headers: Mapping[str, str] | None) -> None:
        try:
            await self._post(body, headers=headers, resend=call.method != "tools/call", id=call.id)
        except (GatewayError, RpcError):
            if not call.outcome.done():  # an answer on the stream counts, whatever became of the POST
                raise

    async def _post(
        self, message: bytes, *, headers: Mapping[str, str] | None = None, resend: bool = True, id: int | None = None
    ) -> None:
        exchange = await self._origin.send("POST", message, headers=headers, to=self._endpoint, resend=resend)
        if not 200 <= exchange.status < 300:
            raise refusal(self.server, exchange, id)

    def _cancel(self, id: int, method: str) -> None:
        if not self.closed.is_set() and method != "initialize":
            self._notices.post(notification_line("notifications/cancelled", {"requestId": id}))

    # The stream.

    async def _hear_stream(self) -> None:
        try:
            exchange = await self._origin.send("GET", on_event=self._on_event)
        except GatewayError as error:
            self._end(error)
        else:
            self._end(self._ending(exchange))
        self._endpoint_known.set()
        await self._origin.aclose()

    def _ending(self, exchange: Exchange) -> GatewayError | RpcError:
        if not 200 <= exchange.status < 300:
            return refusal(self.server, exchange)
        if exchange.stream is None:
            return off_protocol(self.server, "answered without an event stream")
        return disconnected(self.server, "ended its event stream")

    async def _wait_for_endpoint(self) -> None:
        """Raises UpstreamUnavailable, UpstreamDisconnected, UpstreamAuth or UpstreamProtocolError."""
        with anyio.move_on_after(ENDPOINT_TIMEOUT_S):
            await self._endpoint_known.wait()
        if self.failure is not None:
            raise self.failure
        if self._endpoint is None:
            reason = f"no endpoint event within {ENDPOINT_TIMEOUT_S:.0f} s"
            raise UpstreamUnavailable(f"upstream {self.server!r} cannot be used: {reason}", server=self.server)

    def _on_event(self, exchange: Exchange, event: ServerSentEvent) -> None:
        """Only a bad endpoint ends the stream; a sink or the listener that fails does not."""
        if event.type == "endpoint":
            self._on_endpoint(event.data)
        elif event.type == "message" and event.data:
            try:
                self._on_message(event.data)
            except Exception:  # boundary: sinks and the listener are not ours
                self.count("receiver_failed")
                logger.exception("upstream.receiver_failed name=%s", self.server)

    def _on_endpoint(self, data: bytes) -> None:
        """Where to post: on the same origin, so that our credentials stay there. The first one holds."""
        if self._endpoint is not None:
            self.count("second_endpoint")
            return
        try:
            endpoint = self._origin.address.join(data.decode())
        except ValueError:
            raise off_protocol(self.server, "named an endpoint that is not a URL") from None
        if not endpoint.same_origin(self._origin.address):
            raise off_protocol(self.server, f"named an endpoint of another origin, {endpoint.origin}")
        self._endpoint = endpoint
        self._endpoint_known.set()

    def _on_message(self, data: bytes) -> None:
        try:
            message = decode(data)
        except Malformed as fault:
            self.count("bad_event")
            call = self._midcall.take(salvage_id(data))
            if call is not None:
                call.end(broken(self.server, str(fault)))
            return
        if message.method is None:
            self._on_answer(message)
        elif message.id is None:
            self._midcall.notification(message.method, message.params or {})
        elif not self._midcall.question(message.id, message.method, message.params or {}):
            self.count("question_flood")
            self._notices.post(error_reply(message.id, TOO_MANY))

    def _on_answer(self, message: Envelope) -> None:
        call = self._midcall.take(our_id(message.id))
        if call is None:
            self.count("late_answer")
        else:
            call.end(outcome_of(self.server, message))

    # The end.

    def _end(self, failure: GatewayError | RpcError | None) -> None:
        """End the connection and all calls; `failure` is None when it was us.

        A message above the cap ends the stream. A call alone in flight hears that; of
        several, nobody can tell whose it was.
        """
        if self.closed.is_set():
            return
        self.failure = (
            disconnected(self.server, "refused the event stream") if isinstance(failure, RpcError) else failure
        )
        too_large = isinstance(failure, UpstreamMessageTooLarge) and len(self._calls) == 1
        what = "was closed" if failure is None else "ended its event stream during the call"
        for id in self._calls.ids():
            call = self._midcall.take(id)
            if call is not None:
                call.end(failure if too_large and failure is not None else disconnected(self.server, what))
        self.closed.set()

    async def _leave(self) -> None:
        self._end(None)
        with anyio.CancelScope(shield=True):
            await self._origin.aclose()
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    def _check_open(self) -> None:
        if self.closed.is_set() or self._endpoint is None:
            raise disconnected(self.server, "is not connected")
