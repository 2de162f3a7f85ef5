"""`MCPAgent`: the keeper of one upstream connection.

One supervised task (`run`) connects, reads what the upstream offers, serves until
the connection ends, backs off and connects again with a fresh dispatcher. Any
other task only sends requests through `call`. The agent knows its own upstream and
no other; it does not know the catalog, names or downstream revisions.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Mapping
from typing import Any, Protocol

import anyio
import anyio.abc

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.errors import (
    GatewayError,
    InternalError,
    RpcError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamStartFailed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.approach import Approach, EraMemory
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.dispatch.base import Dispatcher
from mcp_gateway.upstream.dispatch.http import SessionExpired
from mcp_gateway.upstream.lifecycle import Lifecycle, State
from mcp_gateway.upstream.line import Line, Send
from mcp_gateway.upstream.listen import Listening, worth_listening
from mcp_gateway.upstream.offer_reader import LIST_CHANGED, OfferReader
from mcp_gateway.upstream.session import Link, Session, handshake
from mcp_gateway.upstream.slots import Slots
from mcp_gateway.upstream.wishes import Wishes, check_subscribable
from mcp_gateway.wire import Raw, RawParams

logger = logging.getLogger(__name__)

PING_WITHIN_S = 5.0
"""A connection in doubt that does not answer a ping within this is replaced (security facts, 3.4 hangs)."""

LINGER_S = 1.0
"""Calls still under way over a connection that lost its session get this long to hear so themselves (our choice)."""


class Watcher(Protocol):
    """Hears what happens to an agent. Nothing in here may block."""

    def state_changed(self, agent: MCPAgent) -> None: ...

    def offer_read(self, agent: MCPAgent, session: Session, parts: Mapping[Kind, Part]) -> None: ...

    def notified(self, agent: MCPAgent, method: str, params: RawParams) -> None: ...


class MCPAgent:
    """One upstream connection and its keeper.

    `reason` says in words why the upstream is not ready; `since` is the epoch second of the last change of state.
    `session` is what the last handshake agreed on, also while there is no connection.
    """

    def __init__(
        self, definition: Definition, *, watcher: Watcher, memory: EraMemory, capabilities: Mapping[str, Any]
    ) -> None:
        """`capabilities` are declared to a legacy upstream; a modern one hears them with each request."""
        self.name = definition.name
        self.rules = definition.rules
        self.lifecycle = Lifecycle(definition.rules.restart)
        self.session: Session | None = None
        self.reason: str | None = None
        self.since = time.time()
        self.failures: dict[str, int] = {}
        self.wishes = Wishes()
        self._capabilities = capabilities
        self._watcher = watcher
        self._approach = Approach(definition, memory)
        self._attention = anyio.Event()
        self._line = Line(self.name, self.rules, self.lifecycle, self._wake)
        self._life = anyio.CancelScope()
        self._reader: OfferReader | None = None
        self._listening: Listening | None = None

    @property
    def state(self) -> State:
        return self.lifecycle.state

    @property
    def link(self) -> Link | None:
        """The live connection."""
        return self._line.link

    @property
    def slots(self) -> Slots:
        return self._line.slots

    @property
    def subscribed(self) -> set[str]:
        """The URIs whose updates are wanted, the upstream's own."""
        return self.wishes.uris

    @property
    def last_used_monotonic_s(self) -> float:
        return self._line.last_used_monotonic_s

    # -- calls ---------------------------------------------------------------------------------------------------

    async def call(self, send: Send, sink: Sink = QUIET, *, deadline_s: float | None = None, tool: str = "") -> Raw:
        """Wait for a slot and a connection, then `send` one request over it.

        `deadline_s` (seconds from now) can only shorten the configured deadline of the
        upstream and `tool`; every wait in here counts against it.

        Raises:
            UpstreamTimeout: no answer within the deadline.
            UpstreamUnavailable, UpstreamStartFailed, UpstreamAuth: no connection; see the message.
            UpstreamBusy: too many calls are queued.
            UpstreamRemoved: the upstream left the configuration meanwhile.
            RpcError: the upstream answered with an error.
        """
        try:
            return await self._line.call(send, sink, deadline_s=deadline_s, tool=tool)
        except UpstreamTimeout as failure:
            self._count(failure)
            raise

    async def request(self, method: str, params: RawParams | None = None, sink: Sink = QUIET) -> Raw:
        """A request of the gateway's own, under the same slots and deadline as any call."""
        return await self.call(lambda link, way_back: link.request(method, params, way_back), sink)

    async def subscribe(self, uri: str) -> None:
        """Ask for updates of a resource; every later connection is asked again.

        An upstream that is down hears it when it is back. Raises RpcError when it refuses.
        """
        self.wishes.uris.add(uri)
        try:
            await self.call(lambda link, _: self._subscribe(link, uri))
        except RpcError:
            self.wishes.uris.discard(uri)
            raise
        except GatewayError as failure:
            logger.info("upstream.subscription_waits name=%s reason=%s", self.name, failure.code)

    async def _subscribe(self, link: Link, uri: str) -> Raw:
        if not link.session.modern:
            return await link.request("resources/subscribe", {"uri": uri})
        check_subscribable(link)
        return self._listen_again()

    async def unsubscribe(self, uri: str) -> None:
        """Raises RpcError when the upstream refuses; one that is down has nothing to end."""
        self.wishes.uris.discard(uri)
        if self.link is None:
            return
        try:
            await self.call(lambda link, _: self._unsubscribe(link, uri))
        except GatewayError as failure:
            logger.info("upstream.unsubscribe_failed name=%s reason=%s", self.name, failure.code)

    async def _unsubscribe(self, link: Link, uri: str) -> Raw:
        return (
            self._listen_again() if link.session.modern else await link.request("resources/unsubscribe", {"uri": uri})
        )

    def _listen_again(self) -> Raw:
        if self._listening is not None:
            self._listening.uris_changed()
        return Raw(b"{}")

    async def set_log_level(self, level: str) -> None:
        """The mildest level any client wants; legacy upstreams are told, modern ones hear it per request."""
        self.wishes.log_level = level
        if self.link is not None:
            await self.wishes.tell_level(self.link)

    # -- the supervised task -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the connection until cancelled; nothing an upstream does ends this."""
        try:
            if not self.rules.lazy:
                self.lifecycle.next_attempt_s = time.monotonic()
            while True:
                await self._until_attempt_is_due()
                with anyio.CancelScope() as self._life:
                    await self._one_life()
        finally:
            self.retire()

    def retire(self) -> None:
        """The upstream is about to be given up for good: its calls end with UpstreamRemoved."""
        self._line.retire()

    def reconnect(self) -> None:
        """Give the connection, or the attempt under way, up and make a new one at once."""
        self.lifecycle.failures = 0
        self.lifecycle.renew(time.monotonic())
        self._line.disconnect()
        self._life.cancel()
        self._wake()

    async def _until_attempt_is_due(self) -> None:
        while (wait_s := self._until_next_attempt_s()) is None or wait_s > 0:
            with anyio.move_on_after(wait_s):
                await self._attention.wait()
            self._attention = anyio.Event()

    def _until_next_attempt_s(self) -> float | None:
        """None when only use will cause one. A lazy upstream is not even dialled again unless a call waits."""
        wait_s = self.lifecycle.next_attempt_s - time.monotonic()
        unwanted = self.rules.lazy and self.state is not State.CONNECTING and not self.slots.in_flight
        return None if math.isinf(wait_s) or unwanted else wait_s

    async def _one_life(self) -> None:
        """From an attempt to connect to the end of that connection."""
        self.lifecycle.attempt(time.monotonic())
        self._announce(None)
        try:
            async with self._approach.dial(self._heard) as dispatcher:
                await self._serve_over(dispatcher)
        except GatewayError as failure:
            self._attempt_failed(failure)
        except Exception:  # boundary: whatever one upstream brings about must not end the others
            logger.exception("upstream.keeper_failed name=%s", self.name)
            self._fail(InternalError(f"upstream {self.name!r} met a fault of the gateway; see its log"))

    async def _serve_over(self, dispatcher: Dispatcher) -> None:
        async with anyio.create_task_group() as group:
            try:
                with anyio.fail_after(self.rules.startup_timeout_s):
                    link = await self._open(dispatcher, group)
            except TimeoutError:
                message = f"upstream {self.name!r} was not ready within {self.rules.startup_timeout_s:g} s"
                self._attempt_failed(UpstreamTimeout(message, server=self.name))
            except GatewayError as failure:
                self._attempt_failed(failure, dispatcher.failure)
            else:
                await self._serve(link, group)
            finally:
                self._reader = self._listening = None
            group.cancel_scope.cancel()

    async def _open(self, dispatcher: Dispatcher, group: anyio.abc.TaskGroup) -> Link:
        """Agree on a session, and read the offer; changes are listened for before they can be missed."""
        session = await handshake(dispatcher, self._approach.era, self._capabilities)
        self._approach.agreed(session)
        self.session = session
        link = Link(dispatcher, session)
        if self.rules.reads_offer:
            self._reader = OfferReader(link, self._report, self.rules.startup_timeout_s)
        if worth_listening(link):
            self._listening = Listening(link, lambda: frozenset(self.wishes.uris), self._heard)
            group.start_soon(self._listening.run)
            await self._listening.opened()
        if self._reader is not None:
            await self._reader.read_first()
        return link

    def _report(self, parts: Mapping[Kind, Part]) -> None:
        assert self.session is not None, "only a connection that agreed on one has a reader"
        self._watcher.offer_read(self, self.session, parts)

    async def _serve(self, link: Link, group: anyio.abc.TaskGroup) -> None:
        """Watch one working connection until it ends, is given up, or is idle for too long."""
        self.lifecycle.connected(time.monotonic())
        self._line.connect(link)
        self._announce(None)
        group.start_soon(self._wake_when_closed, link.dispatcher)
        group.start_soon(self.wishes.tell_all, link)
        if self._reader is not None:
            group.start_soon(self._keep_offer, self._reader, link)
        while self.link is link:
            with anyio.move_on_after(self._idle_left_s()):
                await self._attention.wait()
            self._attention = anyio.Event()
            await self._look_after(link)
        await self._linger(link)

    async def _look_after(self, link: Link) -> None:
        # Four cases: 1. a call gave it up; 2. it ended; 3. nobody used it; 4. a call doubts it.
        if self.link is not link:
            return
        if link.dispatcher.closed.is_set():
            gone = UpstreamDisconnected(f"upstream {self.name!r} closed the connection", server=self.name)
            self._fail(link.dispatcher.failure or gone)
        elif self._idle_left_s() == 0:
            self.lifecycle.rest()
            self._line.disconnect()
            self._announce(None)
        elif self._line.suspect:
            self._line.suspect = False
            failure = await self._ping_failure(link)
            if failure is not None and self.link is link:
                self._fail(failure)

    async def _ping_failure(self, link: Link) -> GatewayError | None:
        """Why the upstream cannot be reached any more; None when it answers, be it with an error."""
        method = "server/discover" if link.session.modern else "ping"
        try:
            with anyio.fail_after(PING_WITHIN_S):
                await link.request(method)
        except TimeoutError:
            return UpstreamTimeout(f"upstream {self.name!r} stopped answering", server=self.name)
        except SessionExpired:
            self._line.give_up(link)
        except GatewayError as failure:
            return failure
        except RpcError:
            pass
        return None

    async def _linger(self, link: Link) -> None:
        """Let other calls hear for themselves that the session is gone: then they are repeated, too."""
        with anyio.move_on_after(LINGER_S):
            while not link.dispatcher.closed.is_set() and self._line.is_used(link):
                await self._attention.wait()
                self._attention = anyio.Event()

    async def _keep_offer(self, reader: OfferReader, link: Link) -> None:
        try:
            await reader.keep()
        except SessionExpired:
            self._line.give_up(link)
        except UpstreamDisconnected:
            self._line.suspect = True
            self._wake()

    async def _wake_when_closed(self, dispatcher: Dispatcher) -> None:
        await dispatcher.closed.wait()
        self._wake()

    # -- ends ----------------------------------------------------------------------------------------------------

    def _attempt_failed(self, failure: GatewayError, ending: GatewayError | None = None) -> None:
        """`ending` is why the connection itself ended, when it did."""
        if self._approach.failed(failure):
            self.lifecycle.next_attempt_s = time.monotonic()
            return
        if isinstance(failure, UpstreamDisconnected):
            what = (ending or failure).message
            kind = UpstreamUnavailable if ending is None else UpstreamStartFailed
            failure = kind(f"{what} before it was ready", server=self.name)
        self._fail(failure)

    def _fail(self, failure: GatewayError) -> None:
        failure.message = self.rules.redact(failure.message)
        self._count(failure)
        self.lifecycle.failed(
            time.monotonic(),
            auth=isinstance(failure, UpstreamAuth),
            jitter=random.random(),  # noqa: S311 - spreading load is no secret
            retry_after_s=failure.retry_after_s or 0.0,
        )
        self._line.fail(failure)
        self._announce(failure.message)

    # -- small things --------------------------------------------------------------------------------------------

    def _heard(self, method: str, params: RawParams) -> None:
        """A notification that belongs to no call."""
        if method in LIST_CHANGED and self._reader is not None:
            self.offer_changed(method)
        else:
            self._watcher.notified(self, method, params)

    def offer_changed(self, method: str) -> None:
        """One of the upstream's lists changed, says this connection or a client's own."""
        if self._reader is not None:
            self._reader.changed(LIST_CHANGED[method])

    def _idle_left_s(self) -> float | None:
        """Seconds until the connection counts as unused; None when it never does. A subscription is a use."""
        if self.rules.idle_stop_s is None:
            return None
        if self.slots.in_flight or self.wishes.uris:
            return self.rules.idle_stop_s
        return max(0.0, self.last_used_monotonic_s + self.rules.idle_stop_s - time.monotonic())

    def _announce(self, reason: str | None) -> None:
        self.reason = reason
        self.since = time.time()
        logger.info("upstream.%s name=%s%s", self.state, self.name, f" reason={reason!r}" if reason else "")
        self._watcher.state_changed(self)

    def _wake(self) -> None:
        """Have the keeper look at what there is to do."""
        self._attention.set()

    def _count(self, failure: GatewayError) -> None:
        self.failures[failure.code] = self.failures.get(failure.code, 0) + 1
