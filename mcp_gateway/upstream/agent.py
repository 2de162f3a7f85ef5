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
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamStartFailed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.approach import Approach, EraMemory
from mcp_gateway.upstream.bell import Bell
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.dispatch.base import Dispatcher
from mcp_gateway.upstream.last_words import with_last_words
from mcp_gateway.upstream.lifecycle import Lifecycle, State
from mcp_gateway.upstream.line import Line, Send
from mcp_gateway.upstream.service import Service
from mcp_gateway.upstream.session import Link, Session, handshake
from mcp_gateway.upstream.slots import Slots
from mcp_gateway.upstream.wishes import Wishes
from mcp_gateway.wire import Raw, RawParams

logger = logging.getLogger(__name__)


class Watcher(Protocol):
    """Hears what happens to an agent. Nothing in here may block."""

    def state_changed(self, agent: MCPAgent) -> None: ...

    def offer_read(self, agent: MCPAgent, session: Session, parts: Mapping[Kind, Part]) -> None: ...

    def notified(self, agent: MCPAgent, method: str, params: RawParams) -> None: ...


class MCPAgent:
    """One upstream connection and its keeper.

    `reason` says in words why the upstream is not ready, for operators: a child's last words may be in it, which the
    errors of calls do without. `since` is the epoch second of the last change of state.
    `session` is what the last handshake agreed on, also while there is no connection.
    `connection` says whose it is, as `Definition.connection`.
    """

    def __init__(
        self, definition: Definition, *, watcher: Watcher, memory: EraMemory, capabilities: Mapping[str, Any]
    ) -> None:
        """`capabilities` are declared to a legacy upstream; a modern one hears them with each request."""
        self.name = definition.name
        self.connection = definition.connection
        self.capabilities = capabilities
        self.rules = definition.rules
        self.lifecycle = Lifecycle(definition.rules.restart)
        self.session: Session | None = None
        self.reason: str | None = None
        self.since = time.time()
        self.failures: dict[str, int] = {}
        self._watcher = watcher
        self._approach = Approach(definition, memory)
        self._bell = Bell()
        self._line = Line(self.name, self.rules, self.lifecycle, self._bell.ring)
        self.wishes = Wishes(self._line)
        self._life = anyio.CancelScope()
        self._service: Service | None = None

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

    async def call(
        self,
        send: Send,
        sink: Sink = QUIET,
        *,
        deadline_s: float | None = None,
        tool: str = "",
        counts_questions: bool = True,
    ) -> Raw:
        """Wait for a slot and a connection, then `send` one request over it.

        `deadline_s` (seconds from now) can only shorten the configured deadline of the
        upstream and `tool`; every wait in here counts against it. Without `counts_questions`
        it stands still while the sink is asked, and starts anew with each answer.

        Raises:
            UpstreamTimeout: no answer within the deadline.
            UpstreamUnavailable, UpstreamStartFailed, UpstreamAuth: no connection; see the message.
            UpstreamBusy: too many calls are queued.
            UpstreamRemoved: the upstream left the configuration meanwhile.
            RpcError: the upstream answered with an error.
        """
        try:
            return await self._line.call(
                send, sink, deadline_s=deadline_s, tool=tool, counts_questions=counts_questions
            )
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
        await self.wishes.subscribe(uri)

    async def unsubscribe(self, uri: str) -> None:
        """Raises RpcError when the upstream refuses; one that is down has nothing to end."""
        await self.wishes.unsubscribe(uri)

    def take_over(self, other: MCPAgent) -> None:
        """Ask, on every connection to come, for what another agent asked for: it kept this connection before."""
        self.wishes.uris |= other.wishes.uris

    async def set_log_level(self, level: str) -> None:
        """The mildest level any client wants; legacy upstreams are told, modern ones hear it per request."""
        await self.wishes.set_log_level(level)

    # -- the supervised task -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the connection until cancelled; nothing an upstream does ends this."""
        try:
            if not self.rules.lazy or self.subscribed:
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
        self._bell.ring()

    async def _until_attempt_is_due(self) -> None:
        while (wait_s := self._until_next_attempt_s()) is None or wait_s > 0:
            await self._bell.heard(wait_s)

    def _until_next_attempt_s(self) -> float | None:
        """None when only use will cause one. A lazy upstream that nobody uses is not even dialled again."""
        wait_s = self.lifecycle.next_attempt_s - time.monotonic()
        in_use = self.state is State.CONNECTING or self.slots.in_flight or self.subscribed
        return None if math.isinf(wait_s) or (self.rules.lazy and not in_use) else wait_s

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
                    link, service = await self._open(dispatcher, group)
            except TimeoutError:
                message = f"upstream {self.name!r} was not ready within {self.rules.startup_timeout_s:g} s"
                self._attempt_failed(UpstreamTimeout(message, server=self.name), stderr=dispatcher.stderr_tail)
            except GatewayError as failure:
                self._attempt_failed(failure, dispatcher.failure, dispatcher.stderr_tail)
            else:
                await self._serve(link, service, group)
            finally:
                self._service = self.wishes.listening = None
            group.cancel_scope.cancel()

    async def _open(self, dispatcher: Dispatcher, group: anyio.abc.TaskGroup) -> tuple[Link, Service]:
        """Agree on a session, and read the offer."""
        session = await handshake(dispatcher, self._approach.era, self.capabilities)
        self._approach.agreed(session)
        self.session = session
        link = Link(dispatcher, session)
        self._service = Service(
            link,
            self.rules,
            line=self._line,
            wishes=self.wishes,
            bell=self._bell,
            report=lambda parts: self._watcher.offer_read(self, session, parts),
            deliver=self._deliver,
        )
        await self._service.prepare(group)
        return link, self._service

    async def _serve(self, link: Link, service: Service, group: anyio.abc.TaskGroup) -> None:
        self.lifecycle.connected(time.monotonic())
        self._line.connect(link)
        self._announce(None)
        failure = await service.watch(group)
        # No waiting between the end of the watch and the change of state: calls would still use the link.
        if self.link is link:
            self._rest() if failure is None else self._fail(failure, link.dispatcher.stderr_tail)
        await service.linger()

    # -- ends ----------------------------------------------------------------------------------------------------

    def _attempt_failed(self, failure: GatewayError, ending: GatewayError | None = None, stderr: str = "") -> None:
        """`ending` is why the connection itself ended, when it did; `stderr` the tail of what the child wrote there."""
        if self._approach.failed(failure):
            self.lifecycle.next_attempt_s = time.monotonic()
            return
        if isinstance(failure, UpstreamDisconnected):
            what = (ending or failure).message
            kind = UpstreamUnavailable if ending is None else UpstreamStartFailed
            failure = kind(f"{what} before it was ready", server=self.name)
        self._fail(failure, stderr)

    def _rest(self) -> None:
        self.lifecycle.rest()
        self._line.disconnect()
        self._announce(None)

    def _fail(self, failure: GatewayError, stderr: str = "") -> None:
        failure.message = self.rules.redact(failure.message)
        self._count(failure)
        self.lifecycle.failed(
            time.monotonic(),
            auth=isinstance(failure, UpstreamAuth),
            jitter=random.random(),  # noqa: S311 - spreading load is no secret
            retry_after_s=failure.retry_after_s or 0.0,
        )
        self._line.fail(failure)
        self._announce(with_last_words(failure.message, stderr, self.rules.redact))

    # -- small things --------------------------------------------------------------------------------------------

    def _heard(self, method: str, params: RawParams) -> None:
        """A notification that belongs to no call; before there is a service, no list can have changed."""
        if self._service is None:
            self._deliver(method, params)
        else:
            self._service.hear(method, params)

    def offer_changed(self, method: str) -> None:
        """One of the upstream's lists changed, says a client's own connection to it."""
        if self._service is not None:
            self._service.offer_changed(method)

    def _deliver(self, method: str, params: RawParams) -> None:
        self._watcher.notified(self, method, params)

    def _announce(self, reason: str | None) -> None:
        self.reason = reason
        self.since = time.time()
        logger.info("upstream.%s name=%s%s", self.state, self.name, f" reason={reason!r}" if reason else "")
        self._watcher.state_changed(self)

    def _count(self, failure: GatewayError) -> None:
        self.failures[failure.code] = self.failures.get(failure.code, 0) + 1
