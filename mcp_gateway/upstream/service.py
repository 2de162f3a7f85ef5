"""One connection in service, from the agreed handshake to its end.

A live link enters; what the upstream offers leaves through a callback, and at last
why the service ended. Attempts, delays and states are not known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import anyio
import anyio.abc

from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.errors import GatewayError, RpcError, UpstreamDisconnected, UpstreamTimeout
from mcp_gateway.upstream.bell import Bell
from mcp_gateway.upstream.definition import AgentRules
from mcp_gateway.upstream.dispatch.base import Listener
from mcp_gateway.upstream.dispatch.http import SessionExpired
from mcp_gateway.upstream.line import Line
from mcp_gateway.upstream.listen import Listening, worth_listening
from mcp_gateway.upstream.offer_reader import LIST_CHANGED, OfferReader
from mcp_gateway.upstream.session import Link
from mcp_gateway.upstream.wishes import Wishes
from mcp_gateway.wire import RawParams

PING_WITHIN_S = 5.0
"""A connection in doubt that does not answer a ping within this is replaced (security facts, 3.4 hangs)."""

LINGER_S = 1.0
"""Calls still under way over a connection that lost its session get this long to hear so themselves (our choice)."""


class Service:
    """The service of one link; its tasks belong to a group of the keeper's."""

    def __init__(
        self,
        link: Link,
        rules: AgentRules,
        *,
        line: Line,
        wishes: Wishes,
        bell: Bell,
        report: Callable[[Mapping[Kind, Part]], None],
        deliver: Listener,
    ) -> None:
        """`report` gets the parts of the offer that were read, `deliver` what was heard of anything but the offer."""
        self._link = link
        self._name = link.dispatcher.server
        self._rules = rules
        self._line = line
        self._wishes = wishes
        self._bell = bell
        self._deliver = deliver
        self._reader = OfferReader(link, report, rules.startup_timeout_s, rules.caps) if rules.reads_offer else None

    def hear(self, method: str, params: RawParams) -> None:
        """A notification that belongs to no call. A connection without a reader passes on what lists changed, too."""
        if method in LIST_CHANGED and self._reader is not None:
            self.offer_changed(method)
        else:
            self._deliver(method, params)

    def offer_changed(self, method: str) -> None:
        """One of the upstream's lists changed, says this connection or another one to it."""
        if self._reader is not None:
            self._reader.changed(LIST_CHANGED[method])

    async def prepare(self, group: anyio.abc.TaskGroup) -> None:
        """Read the offer; changes are listened for before they can be missed. Raises GatewayError."""
        if worth_listening(self._link):
            listening = Listening(self._link, lambda: frozenset(self._wishes.uris), self.hear)
            self._wishes.listening = listening
            group.start_soon(listening.run)
            await listening.opened()
        if self._reader is not None:
            await self._reader.read_first()

    async def watch(self, group: anyio.abc.TaskGroup) -> GatewayError | None:
        """Look after the connection until it is over: the failure, or None when it was given up or is not used."""
        group.start_soon(self._ring_when_closed)
        group.start_soon(self._wishes.tell_all, self._link)
        if self._reader is not None:
            group.start_soon(self._keep_offer, self._reader)
        while True:
            await self._bell.heard(self._idle_left_s())
            # Four cases: 1. a call gave it up; 2. it ended; 3. nobody used it; 4. a call doubts it.
            if self._line.link is not self._link:
                return None
            if self._link.dispatcher.closed.is_set():
                gone = UpstreamDisconnected(f"upstream {self._name!r} closed the connection", server=self._name)
                return self._link.dispatcher.failure or gone
            if self._idle_left_s() == 0:
                return None
            if self._line.suspect and (failure := await self._ping_failure()):
                return failure

    async def linger(self) -> None:
        """Let other calls hear for themselves that the session is gone: then they are repeated, too."""
        with anyio.move_on_after(LINGER_S):
            while not self._link.dispatcher.closed.is_set() and self._line.is_used(self._link):
                await self._bell.heard(None)

    async def _ping_failure(self) -> GatewayError | None:
        """Why the upstream cannot be reached any more; None when it answers, be it with an error."""
        self._line.suspect = False
        method = "server/discover" if self._link.session.modern else "ping"
        try:
            with anyio.fail_after(PING_WITHIN_S):
                await self._link.request(method)
        except TimeoutError:
            return UpstreamTimeout(f"upstream {self._name!r} stopped answering", server=self._name)
        except SessionExpired:
            self._line.give_up(self._link)
        except GatewayError as failure:
            return failure
        except RpcError:
            pass
        return None

    async def _keep_offer(self, reader: OfferReader) -> None:
        try:
            await reader.keep()
        except SessionExpired:
            self._line.give_up(self._link)
        except UpstreamDisconnected:
            self._line.suspect = True
            self._bell.ring()

    async def _ring_when_closed(self) -> None:
        await self._link.dispatcher.closed.wait()
        self._bell.ring()

    def _idle_left_s(self) -> float | None:
        """Seconds until the connection counts as unused; None when it never does. A subscription is a use."""
        if self._rules.idle_stop_s is None:
            return None
        if self._line.slots.in_flight or self._wishes.uris:
            return self._rules.idle_stop_s
        return max(0.0, self._line.last_used_monotonic_s + self._rules.idle_stop_s - time.monotonic())
