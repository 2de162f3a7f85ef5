"""The calls to one upstream, and the connection they share while there is one.

Calls enter, raw results leave. A call waits for a place and for a connection within
its own deadline, reaches the upstream once, and tells the keeper what it learned of
the connection's health. Connections are made elsewhere.
"""

from __future__ import annotations

import copy
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import anyio

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.errors import (
    GatewayError,
    OperatorError,
    RpcError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamRemoved,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.deadline import MAX_EXTENDED_S, ExtendingSink, PatientSink
from mcp_gateway.upstream.definition import AgentRules
from mcp_gateway.upstream.dispatch.http import SessionExpired
from mcp_gateway.upstream.lifecycle import Lifecycle, State
from mcp_gateway.upstream.session import Link
from mcp_gateway.upstream.slots import Slots
from mcp_gateway.wire import Raw

PATIENCE_S = 5.0
"""A call waits for the next attempt when it is due this soon, else it fails at once (our choice)."""

SUSPECT_AFTER_TIMEOUTS = 3
"""Timeouts in a row after which the connection has to answer a ping (security facts, 3.4 hangs)."""

Send = Callable[[Link, Sink], Awaitable[Raw]]
"""Sends one request over a link; the sink is the way back while it runs."""


class Line:
    """Calls on their way, and the live link, None while there is none.

    `wake` tells the keeper to look: a call wants a connection, or doubts the one there is.
    """

    def __init__(self, name: str, rules: AgentRules, lifecycle: Lifecycle, wake: Callable[[], None]) -> None:
        self.link: Link | None = None
        self.slots = Slots(name, rules.concurrency, rules.queue)
        self.failure: GatewayError | None = None
        self.suspect = False
        self.last_used_monotonic_s = time.monotonic()
        self._name = name
        self._rules = rules
        self._lifecycle = lifecycle
        self._wake = wake
        self._down_since_monotonic_s = time.monotonic()
        self._failed_attempts = 0
        self._timeouts_in_row = 0
        self._sending: Counter[Link] = Counter()
        self._changed = anyio.Event()
        self._retired = False

    # -- what the keeper does ------------------------------------------------------------------------------------

    def connect(self, link: Link) -> None:
        """Calls that wait go on over `link`."""
        self.link = link
        self.failure = None
        self.suspect = False
        self._timeouts_in_row = 0
        self._notice()

    def disconnect(self) -> None:
        """The link is of no more use; new calls wait for the next one, or fail."""
        if self.link is not None:
            self.link = None
            self._down_since_monotonic_s = time.monotonic()
        self._notice()

    def fail(self, failure: GatewayError) -> None:
        """The connection ended, or an attempt failed: then calls that waited for it learn why."""
        self.failure = failure
        if self.link is None:
            self._failed_attempts += 1
        self.disconnect()

    def retire(self) -> None:
        """The upstream is not kept any more: calls in flight and to come end with UpstreamRemoved."""
        self._retired = True
        self.disconnect()

    def is_used(self, link: Link) -> bool:
        """True while a call is under way over `link`."""
        return self._sending[link] > 0

    # -- calls ---------------------------------------------------------------------------------------------------

    async def call(
        self,
        send: Send,
        sink: Sink = QUIET,
        *,
        deadline_s: float | None = None,
        tool: str = "",
        counts_questions: bool = True,
    ) -> Raw:
        """See `MCPAgent.call`."""
        limit_s = self._rules.limit_s(tool, deadline_s)
        self.last_used_monotonic_s = time.monotonic()
        sent = False
        try:
            with anyio.move_on_after(limit_s) as scope:
                if not counts_questions:
                    sink = PatientSink(sink, scope, limit_s)
                if self._rules.timeout_resets_on_progress:
                    latest_s = MAX_EXTENDED_S if deadline_s is None else deadline_s
                    sink = ExtendingSink(sink, scope, limit_s, latest_s)
                async with self.slots:
                    link = await self._working_link()
                    sent = True
                    return await self._send(link, send, sink)
        finally:
            self.last_used_monotonic_s = time.monotonic()
        raise self._timed_out(limit_s) if sent else self._not_sent(limit_s)

    async def _send(self, link: Link, send: Send, sink: Sink) -> Raw:
        try:
            return await self._send_over(link, send, sink)
        except SessionExpired:
            # The upstream forgot our session, so it executed nothing: one new session, one more try.
            self.give_up(link)
        return await self._send_over(await self._working_link(), send, sink)

    async def _send_over(self, link: Link, send: Send, sink: Sink) -> Raw:
        self._sending[link] += 1
        try:
            raw = await send(link, sink)
        except RpcError:
            self._timeouts_in_row = 0  # an error is an answer
            raise
        except GatewayError as failure:
            if self._retired and isinstance(failure, UpstreamDisconnected):
                raise self._removed() from None
            self._doubt(link, failure)
            raise
        finally:
            self._sent_over(link)
        self._timeouts_in_row = 0
        return raw

    def _sent_over(self, link: Link) -> None:
        self._sending[link] -= 1
        if not self._sending[link]:
            del self._sending[link]
            if self.link is not link:
                self._wake()  # the keeper waits for a given-up link's last call

    def give_up(self, link: Link) -> None:
        """`link` has lost its session; the keeper makes a new connection at once."""
        if self.link is link:
            self._lifecycle.renew(time.monotonic())
            self.disconnect()
            self._wake()

    def _doubt(self, link: Link, failure: GatewayError) -> None:
        """A connection that fell over, or credentials refused in mid-session: the keeper asks whether it still works.

        An HTTP upstream's connection never ends by itself, so calls are how its end is noticed. A
        status of 500 or 403 may concern the one call alone.
        """
        fell = isinstance(failure, UpstreamUnavailable | UpstreamDisconnected) and failure.status is None
        if self.link is link and (fell or (isinstance(failure, UpstreamAuth) and failure.status == 401)):
            self.suspect = True
            self._wake()

    async def _working_link(self) -> Link:
        """The live link; waits for an attempt that is under way or due soon, and fails when that attempt fails."""
        failed_before = self._failed_attempts
        while (link := self.link) is None or link.dispatcher.closed.is_set():
            if self._retired:
                raise self._removed()
            failed = self._failed_attempts > failed_before
            if link is None and (failed or not self._attempt_is_near()):
                raise self._unavailable()
            await self._changed.wait()  # a link that has ended is taken away by the keeper in a moment
        return link

    def _attempt_is_near(self) -> bool:
        now_s = time.monotonic()
        self._lifecycle.used(now_s)
        self._wake()
        return self._lifecycle.state is State.CONNECTING or self._lifecycle.next_attempt_s - now_s <= PATIENCE_S

    # -- how calls fail ------------------------------------------------------------------------------------------

    def _unavailable(self) -> GatewayError:
        """Why there is no connection and, where that is known, when the next one is tried."""
        wait_s = self._lifecycle.next_attempt_s - time.monotonic()
        retry = f"; retrying in {max(wait_s, 0):.0f} s" if math.isfinite(wait_s) else ""
        if isinstance(self.failure, OperatorError):
            failure = copy.copy(self.failure)
            failure.message += retry
            failure.args = (failure.message,)
            return failure
        reason = "" if self.failure is None else f" ({self.failure.message.removeprefix(f'upstream {self._name!r} ')})"
        down_s = time.monotonic() - self._down_since_monotonic_s
        message = f"upstream {self._name!r} has been down for {down_s:.0f} s{reason}{retry}"
        unavailable = UpstreamUnavailable(message, server=self._name)
        unavailable.retry_after_s = max(wait_s, 0) if math.isfinite(wait_s) else None
        return unavailable

    def _removed(self) -> UpstreamRemoved:
        message = f"upstream {self._name!r} was removed from the configuration or changed in it; try again"
        return UpstreamRemoved(message, server=self._name)

    def _timed_out(self, limit_s: float) -> UpstreamTimeout:
        self._timeouts_in_row += 1
        if self._timeouts_in_row >= SUSPECT_AFTER_TIMEOUTS:
            self._timeouts_in_row = 0
            self.suspect = True
            self._wake()
        return UpstreamTimeout(f"upstream {self._name!r} did not answer within {limit_s:g} s", server=self._name)

    def _not_sent(self, limit_s: float) -> GatewayError:
        """The deadline ended before the call's turn came: no connection yet, or all places taken."""
        if self.link is None:
            return UpstreamUnavailable(
                f"upstream {self._name!r} was not connected within {limit_s:g} s", server=self._name
            )
        return UpstreamTimeout(f"upstream {self._name!r} had no place free within {limit_s:g} s", server=self._name)

    def _notice(self) -> None:
        """Wake every call that waits for a connection."""
        self._changed.set()
        self._changed = anyio.Event()
