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
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import anyio.abc

from mcp_gateway.call import QUIET, Sink
from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.errors import (
    GatewayError,
    OperatorError,
    RpcError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamProtocolError,
    UpstreamRemoved,
    UpstreamStartFailed,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener
from mcp_gateway.upstream.dispatch.http import SessionExpired
from mcp_gateway.upstream.lifecycle import Lifecycle, RestartPolicy, State
from mcp_gateway.upstream.listen import Listening, worth_listening
from mcp_gateway.upstream.listing import offered_kinds, read_parts
from mcp_gateway.upstream.session import Era, Link, ProbeFatal, Session, handshake
from mcp_gateway.upstream.slots import Slots
from mcp_gateway.wire import Raw, RawParams

logger = logging.getLogger(__name__)

PATIENCE_S = 5.0
"""A call waits for the next attempt when it is due this soon, else it fails at once (our choice)."""

DEBOUNCE_S = 0.1
REFRESH_INTERVAL_S = 1.0
"""`list_changed` storms cause at most one reading a second (security facts, 3.4 floods)."""

SUSPECT_AFTER_TIMEOUTS = 3
PING_WITHIN_S = 5.0
"""Three timeouts in a row and a failed ping replace the connection (security facts, 3.4 hangs)."""

NOT_STREAMABLE_HTTP = frozenset({400, 404, 405})
"""Statuses of a refused `initialize` that mean: try HTTP+SSE (2025-11-25, basic/transports)."""

LIST_CHANGED: Mapping[str, tuple[Kind, ...]] = {
    "notifications/tools/list_changed": (Kind.TOOL,),
    "notifications/prompts/list_changed": (Kind.PROMPT,),
    "notifications/resources/list_changed": (Kind.RESOURCE, Kind.TEMPLATE),
}


@dataclass(frozen=True, slots=True)
class AgentRules:
    """How one upstream is kept; durations in seconds."""

    timeout_s: float = 60.0
    tool_timeouts_s: Mapping[str, float] = field(default_factory=dict)
    startup_timeout_s: float = 30.0
    timeout_resets_on_progress: bool = False
    era: Era = Era.AUTO
    lazy: bool = False
    idle_stop_s: float | None = None
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    concurrency: int = 256
    queue: int = 1024
    reads_offer: bool = True
    redact: Callable[[str], str] = str
    """Takes secrets out of what a failure says: an upstream may quote the token it refuses."""


class EraMemory(Protocol):
    """Remembers which era an upstream turned out to speak."""

    def recall(self) -> Era: ...

    def remember(self, era: Era) -> None: ...


class Watcher(Protocol):
    """Hears what happens to an agent. Nothing in here may block."""

    def state_changed(self, agent: MCPAgent) -> None: ...

    def offer_read(self, agent: MCPAgent, session: Session, parts: Mapping[Kind, Part]) -> None: ...

    def notified(self, agent: MCPAgent, method: str, params: RawParams) -> None: ...


Dial = Callable[[Listener], Dispatcher]
Send = Callable[[Link, Sink], Awaitable[Raw]]


class MCPAgent:
    """One upstream connection and its keeper.

    `reason` says in words why the upstream is not ready; `since` is the epoch second of the last change of state.
    """

    def __init__(
        self,
        name: str,
        rules: AgentRules,
        dial: Dial,
        *,
        fallback: Dial | None = None,
        watcher: Watcher,
        memory: EraMemory,
        capabilities: Mapping[str, Any],
    ) -> None:
        self.name = name
        self.rules = rules
        self.capabilities = capabilities
        self.lifecycle = Lifecycle(rules.restart)
        self.link: Link | None = None
        self.reason: str | None = None
        self.since = time.time()
        self.slots = Slots(name, rules.concurrency, rules.queue)
        self.failures: dict[str, int] = {}
        self.subscribed: set[str] = set()
        self.log_level: str | None = None
        self._dial = dial
        self._watcher = watcher
        self._memory = memory
        self._failure: GatewayError | None = None
        self._failed_attempts = 0
        self._changed = anyio.Event()
        self._attention = anyio.Event()
        self._stale: set[Kind] = set()
        self._renew = False
        self._timeouts_in_row = 0
        self._last_used_s = time.monotonic()
        self._listening: Listening | None = None
        self._removed = False
        self._probe_is_fatal = False
        self._fallback = fallback

    @property
    def state(self) -> State:
        return self.lifecycle.state

    # -- calls ---------------------------------------------------------------------------------------------------

    async def call(self, send: Send, sink: Sink = QUIET, *, deadline_s: float | None = None, tool: str = "") -> Raw:
        """Wait for a slot and a connection, then `send` one request over it.

        `deadline_s` (seconds from now) can only shorten the configured deadline of the
        upstream and `tool`; every wait in here counts against it.

        Raises:
            UpstreamTimeout: no answer within the deadline.
            UpstreamUnavailable, UpstreamStartFailed, UpstreamAuth: no connection; see the message.
            UpstreamBusy: too many calls are queued.
            RpcError: the upstream answered with an error.
        """
        limit_s = self.rules.tool_timeouts_s.get(tool, self.rules.timeout_s)
        if deadline_s is not None:
            limit_s = min(limit_s, deadline_s)
        self._last_used_s = time.monotonic()
        try:
            with anyio.fail_after(limit_s) as scope:
                if self.rules.timeout_resets_on_progress:
                    sink = _Extending(sink, scope, limit_s)
                async with self.slots:
                    result = await self._send(send, sink)
        except TimeoutError:
            raise self._timed_out(limit_s) from None
        finally:
            self._last_used_s = time.monotonic()
        self._timeouts_in_row = 0
        return result

    async def _send(self, send: Send, sink: Sink) -> Raw:
        link = await self._working_link()
        try:
            return await send(link, sink)
        except SessionExpired:
            # The upstream forgot our session, so it executed nothing: one new session, one more try.
            self._drop(link)
        link = await self._working_link()
        return await send(link, sink)

    async def request(self, method: str, params: RawParams | None = None, sink: Sink = QUIET) -> Raw:
        """A request of the gateway's own, under the same slots and deadline as any call."""
        return await self.call(lambda link, way_back: link.request(method, params, way_back), sink)

    async def _working_link(self) -> Link:
        """The live link; waits for an attempt that is under way or due soon, and fails when that attempt fails."""
        failed_before = self._failed_attempts
        while self.link is None:
            if self._removed:
                raise UpstreamRemoved(f"upstream {self.name!r} is no longer configured", server=self.name)
            if self._failed_attempts > failed_before or not self._attempt_is_near():
                raise self._unavailable()
            await self._changed.wait()
        return self.link

    def _attempt_is_near(self) -> bool:
        now_s = time.monotonic()
        if self.lifecycle.used(now_s):
            self._nudge()
        if self.state is State.CONNECTING:
            return True
        return self.lifecycle.next_attempt_s - now_s <= PATIENCE_S

    def _unavailable(self) -> GatewayError:
        if self.state is State.DISABLED:
            return UpstreamUnavailable(f"upstream {self.name!r} is disabled: {self.reason}", server=self.name)
        if isinstance(self._failure, OperatorError):
            return type(self._failure)(self._failure.message, server=self.name)
        wait_s = self.lifecycle.next_attempt_s - time.monotonic()
        retry = f"; retrying in {max(wait_s, 0):.0f} s" if math.isfinite(wait_s) else ""
        down_s = time.time() - self.since
        return UpstreamUnavailable(
            f"upstream {self.name!r} has been down for {down_s:.0f} s ({self.reason}){retry}", server=self.name
        )

    def _timed_out(self, limit_s: float) -> UpstreamTimeout:
        self._timeouts_in_row += 1
        self._count("upstream_timeout")
        if self._timeouts_in_row >= SUSPECT_AFTER_TIMEOUTS:
            self._attention.set()
        return UpstreamTimeout(f"upstream {self.name!r} did not answer within {limit_s:g} s", server=self.name)

    # -- the supervised task -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep the connection until cancelled; nothing an upstream does ends this."""
        try:
            if not self.rules.lazy:
                self.lifecycle.next_attempt_s = time.monotonic()
            while True:
                await self._until_attempt_is_due()
                await self._one_life()
        finally:
            self._removed = True
            self.link = None
            self._notice()

    async def _until_attempt_is_due(self) -> None:
        while (wait_s := self.lifecycle.next_attempt_s - time.monotonic()) > 0:
            with anyio.move_on_after(wait_s if math.isfinite(wait_s) else None):
                await self._attention.wait()
            self._attention = anyio.Event()

    async def _one_life(self) -> None:
        """From an attempt to connect to the end of that connection."""
        self.lifecycle.attempt(time.monotonic())
        self._renew = False
        self._announce(None)
        failure = await self._connect_and_serve()
        self.link = None
        self._listening = None
        if failure is None:
            self._end_quietly()
        else:
            self._fail(failure)

    def _end_quietly(self) -> None:
        self.lifecycle.rest()
        if self._renew:
            self.lifecycle.next_attempt_s = time.monotonic()
        else:
            self._announce(None)

    def _fail(self, failure: GatewayError) -> None:
        if self._should_try_another_way(failure):
            self.lifecycle.next_attempt_s = time.monotonic()
            return
        failure.message = self.rules.redact(failure.message)
        self._failure = failure
        self._failed_attempts += 1
        self._count(failure.code)
        jitter = random.random()  # noqa: S311 - spreading load is no secret
        self.lifecycle.failed(time.monotonic(), auth=isinstance(failure, UpstreamAuth), jitter=jitter)
        self._announce(failure.message)

    def _should_try_another_way(self, failure: GatewayError) -> bool:
        """True once per way: a server that dies when probed, and an address that only speaks HTTP+SSE."""
        if isinstance(failure, ProbeFatal) and not self._probe_is_fatal:
            self._probe_is_fatal = True
            return True
        if self._fallback is not None and getattr(failure, "status", None) in NOT_STREAMABLE_HTTP:
            self._dial, self._fallback = self._fallback, None
            return True
        return False

    async def _connect_and_serve(self) -> GatewayError | None:
        """One connection; returns why it ended, None when it was given up on purpose."""
        dispatcher = self._dial(self._heard)
        try:
            async with dispatcher:
                return await self._serve_over(dispatcher)
        except GatewayError as failure:
            return failure

    async def _serve_over(self, dispatcher: Dispatcher) -> GatewayError | None:
        try:
            with anyio.fail_after(self.rules.startup_timeout_s):
                link = await self._open(dispatcher)
        except TimeoutError:
            limit_s = self.rules.startup_timeout_s
            return UpstreamTimeout(f"upstream {self.name!r} was not ready within {limit_s:g} s", server=self.name)
        except RpcError as refused:
            message = f"upstream {self.name!r} refused the handshake: {refused.error['message']}"
            return UpstreamUnavailable(message, server=self.name)
        except ProbeFatal as failure:
            return failure
        except UpstreamDisconnected:
            ending = dispatcher.failure.message if dispatcher.failure else f"upstream {self.name!r} hung up"
            return UpstreamStartFailed(f"{ending} before it was ready", server=self.name)
        except GatewayError as failure:
            return failure
        self.link = link
        self.lifecycle.connected(time.monotonic())
        self._failure = None
        self._announce(None)
        return await self._serve(link)

    async def _open(self, dispatcher: Dispatcher) -> Link:
        session = await self._handshake(dispatcher)
        link = Link(dispatcher, session)
        if self.rules.reads_offer:
            self._watcher.offer_read(self, session, await read_parts(link, offered_kinds(link)))
            self._stale.clear()
        return link

    async def _handshake(self, dispatcher: Dispatcher) -> Session:
        if self.rules.era is not Era.AUTO:
            return await handshake(dispatcher, self.rules.era, self.capabilities)
        era = Era.LEGACY if self._probe_is_fatal else self._memory.recall()
        try:
            session = await handshake(dispatcher, era, self.capabilities)
        except (RpcError, UpstreamProtocolError):
            self._memory.remember(Era.AUTO)
            raise
        self._memory.remember(session.era)
        return session

    async def _serve(self, link: Link) -> GatewayError | None:
        """Watch one working connection until it ends, is renewed, or is idle for too long."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._wake_when_closed, link.dispatcher)
            group.start_soon(self._restore, link)
            if self.rules.reads_offer and worth_listening(link):
                self._listening = Listening(link, lambda: frozenset(self.subscribed), self._heard)
                group.start_soon(self._listening.run)
            ended = await self._until_ended(link)
            group.cancel_scope.cancel()
        return ended

    async def _until_ended(self, link: Link) -> GatewayError | None:
        while True:
            with anyio.move_on_after(self._idle_left_s()):
                await self._attention.wait()
            self._attention = anyio.Event()
            # Four cases: 1. it ended; 2. a new one is wanted; 3. nobody used it; 4. there is something to look after.
            if link.dispatcher.closed.is_set():
                gone = UpstreamDisconnected(f"upstream {self.name!r} closed the connection", server=self.name)
                return link.dispatcher.failure or gone
            if self._renew:
                return None
            if self._idle_left_s() == 0:
                return None
            if failure := await self._look_after(link):
                return failure

    async def _look_after(self, link: Link) -> GatewayError | None:
        if self._timeouts_in_row >= SUSPECT_AFTER_TIMEOUTS and not await self._answers_ping(link):
            self._timeouts_in_row = 0
            return UpstreamTimeout(f"upstream {self.name!r} stopped answering", server=self.name)
        if self._stale and self.rules.reads_offer:
            await self._refresh(link)
        return None

    async def _refresh(self, link: Link) -> None:
        """Read the lists that changed; a failure keeps the last good ones."""
        await anyio.sleep(DEBOUNCE_S)
        kinds = [kind for kind in offered_kinds(link) if kind in self._stale]
        self._stale.clear()
        try:
            with anyio.fail_after(self.rules.startup_timeout_s):
                parts = await read_parts(link, kinds)
        except (TimeoutError, GatewayError, RpcError) as failure:
            logger.warning("upstream.refresh_failed name=%s reason=%s", self.name, type(failure).__name__)
        else:
            self._watcher.offer_read(self, link.session, parts)
        await anyio.sleep(REFRESH_INTERVAL_S - DEBOUNCE_S)
        if self._stale:
            self._attention.set()

    async def _answers_ping(self, link: Link) -> bool:
        self._timeouts_in_row = 0
        method = "server/discover" if link.session.modern else "ping"
        try:
            with anyio.fail_after(PING_WITHIN_S):
                await link.request(method)
        except (TimeoutError, GatewayError):
            return False
        except RpcError:
            return True
        return True

    async def _wake_when_closed(self, dispatcher: Dispatcher) -> None:
        await dispatcher.closed.wait()
        self._attention.set()

    async def _restore(self, link: Link) -> None:
        """After a reconnect: subscriptions and log level, as clients had set them."""
        if link.session.modern:
            return
        for uri in sorted(self.subscribed):
            await self._tell(link, "resources/subscribe", {"uri": uri})
        if self.log_level is not None:
            await self._set_log_level(link, self.log_level)

    # -- what clients want of the connection as a whole ----------------------------------------------------------

    async def subscribe(self, uri: str) -> None:
        """Ask for updates of a resource; it is asked again after every reconnect. Raises RpcError when refused."""
        self.subscribed.add(uri)
        await self._subscription_changed("resources/subscribe", uri)

    async def unsubscribe(self, uri: str) -> None:
        self.subscribed.discard(uri)
        await self._subscription_changed("resources/unsubscribe", uri)

    async def _subscription_changed(self, method: str, uri: str) -> None:
        if self.link is None:
            return
        if self.link.session.modern:
            if self._listening is not None:
                self._listening.uris_changed()
        else:
            await self.request(method, {"uri": uri})

    async def set_log_level(self, level: str) -> None:
        """The mildest level any client wants; legacy upstreams are told, modern ones hear it per request."""
        self.log_level = level
        if self.link is not None and not self.link.session.modern:
            await self._set_log_level(self.link, level)

    async def _set_log_level(self, link: Link, level: str) -> None:
        if "logging" in link.session.capabilities:
            await self._tell(link, "logging/setLevel", {"level": level})

    async def _tell(self, link: Link, method: str, params: RawParams) -> None:
        """A request whose failure changes nothing for us."""
        try:
            with anyio.fail_after(PING_WITHIN_S):
                await link.request(method, params)
        except (TimeoutError, GatewayError, RpcError) as failure:
            logger.info("upstream.told_failed name=%s method=%s reason=%s", self.name, method, type(failure).__name__)

    def reconnect(self) -> None:
        """Give the connection up and make a new one at once."""
        self.lifecycle.failures = 0
        self._renew = True
        if self.link is None:
            self.lifecycle.next_attempt_s = time.monotonic()
        self._nudge()

    # -- small things --------------------------------------------------------------------------------------------

    def _drop(self, link: Link) -> None:
        """`link` is of no more use; the keeper makes a new one."""
        if self.link is link:
            self.link = None
            self.lifecycle.state = State.CONNECTING
            self._renew = True
            self._nudge()

    def _heard(self, method: str, params: RawParams) -> None:
        """A notification that belongs to no call."""
        if kinds := LIST_CHANGED.get(method):
            self._stale.update(kinds)
            self._attention.set()
        else:
            self._watcher.notified(self, method, params)

    def _idle_left_s(self) -> float | None:
        """Seconds until the connection counts as unused; None when it never does."""
        if self.rules.idle_stop_s is None:
            return None
        if self.slots.in_flight or self.subscribed:
            return self.rules.idle_stop_s
        return max(0.0, self._last_used_s + self.rules.idle_stop_s - time.monotonic())

    def _announce(self, reason: str | None) -> None:
        self.reason = reason
        self.since = time.time()
        logger.info("upstream.%s name=%s%s", self.state, self.name, f" reason={reason!r}" if reason else "")
        self._watcher.state_changed(self)
        self._notice()

    def _notice(self) -> None:
        """Wake every call that waits for a change of state."""
        self._changed.set()
        self._changed = anyio.Event()

    def _nudge(self) -> None:
        self._attention.set()

    def _count(self, code: str) -> None:
        self.failures[code] = self.failures.get(code, 0) + 1


class _Extending:
    """A sink whose progress gives the call its whole deadline again."""

    def __init__(self, sink: Sink, scope: anyio.CancelScope, limit_s: float) -> None:
        self.owner = sink.owner
        self.token = sink.token
        self._sink = sink
        self._scope = scope
        self._limit_s = limit_s

    def notify(self, method: str, params: RawParams) -> None:
        if method == "notifications/progress":
            self._scope.deadline = anyio.current_time() + self._limit_s
        self._sink.notify(method, params)

    async def request(self, method: str, params: RawParams) -> Raw:
        return await self._sink.request(method, params)
