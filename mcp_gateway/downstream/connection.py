"""One WebSocket: many calls at once, what happens during them, and events.

Frames (`frames.py`) come and go until it closes. Nothing a client sends ends its socket, except what breaks the framing
and a flood; what it asked for and does not take does. A socket that closes takes its calls with it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled
from starlette.websockets import WebSocket, WebSocketDisconnect

from mcp_gateway.call import Client
from mcp_gateway.downstream.bucket import Bucket
from mcp_gateway.downstream.failures import told
from mcp_gateway.downstream.frames import (
    BadFrame,
    Cancel,
    Frame,
    Listen,
    Run,
    data_frame,
    error_frame,
    read_frame,
    result_frame,
)
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.downstream.outbox import Outbox, OutboxFull
from mcp_gateway.downstream.socket_call import SocketCall
from mcp_gateway.downstream.standing import RENEWED_EVERY_S, Renew
from mcp_gateway.downstream.topics import Subscriptions
from mcp_gateway.errors import Busy, Cancelled, GatewayError, InvalidParams, RateLimited, SlowConsumer
from mcp_gateway.gateway import Gateway
from mcp_gateway.security.policy import check_scope
from mcp_gateway.wire import RequestId, encode

logger = logging.getLogger(__name__)

# RFC 6455, section 7.4.1.
UNSUPPORTED_DATA: Final = 1003
POLICY_VIOLATION: Final = 1008

SAYING_WHY_S: Final = 1.0
"""How long a socket that is being closed gets to hear why (our choice)."""

MAX_REFUSED: Final = 1000
"""Frames in a row above the rate, after which a client is not answered any more (our choice)."""


@dataclass(frozen=True, slots=True)
class ConnectionRules:
    """How much one socket may ask for (our choices)."""

    calls: int = 32
    """Calls under way, with those whose answers wait to be taken."""

    frames_per_s: float = 100.0
    burst: int = 200
    """Frames of the client."""

    taken_within_s: float = 30.0
    """What a frame may take to be sent (security facts, R-SLOW-1: a write stalls for 30 s at most)."""


@dataclass(frozen=True, slots=True)
class _Parting:
    """Why the gateway closes the socket; `error` is what the client is told first."""

    code: int
    reason: str
    error: GatewayError | None = None


class Connection:
    """A reader that never waits for the client, a writer that does, and a task for each call."""

    def __init__(
        self,
        websocket: WebSocket,
        client: Client,
        gateway: Gateway,
        in_flight: InFlight,
        rules: ConnectionRules,
        renewed: Renew,
    ) -> None:
        """`websocket` has been accepted."""
        self._websocket = websocket
        self._client = client
        self._gateway = gateway
        self._in_flight = in_flight
        self._rules = rules
        self._renewed = renewed
        self._outbox = Outbox()
        self._subscriptions = Subscriptions(gateway, client)
        self._running: dict[RequestId, anyio.CancelScope] = {}
        self._bucket = Bucket(rules.frames_per_s, rules.burst)
        self._refused_in_a_row = 0
        self._parting: _Parting | None = None
        self._tasks: anyio.abc.TaskGroup

    async def serve(self) -> None:
        """Until either side closes."""
        unsubscribe = self._gateway.events.subscribe(self._subscriptions.hear)
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self._write)
                self._tasks.start_soon(self._announce)
                self._tasks.start_soon(self._watch)
                await self._read()
                self._tasks.cancel_scope.cancel()
        finally:
            unsubscribe()
        if self._parting is not None:
            await self._part(self._parting)

    # -- the ends ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            while self._parting is None:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if (text := message.get("text")) is None:
                    self._close(_Parting(UNSUPPORTED_DATA, "frames are JSON in text"))
                else:
                    self._take(text)
                    await checkpoint()  # many small frames may have come at once: others have their turn in between
        except OutboxFull:
            self._close_slow()

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._outbox.take()
                with anyio.fail_after(self._rules.taken_within_s):
                    await self._websocket.send_text(frame)
        except TimeoutError:
            self._close_slow()
        except WebSocketDisconnect:
            self._tasks.cancel_scope.cancel()

    async def _announce(self) -> None:
        while True:
            await self._subscriptions.arrived()
            await self._renew()
            if (told := self._subscriptions.take()) is not None:
                id, data = told
                await self._outbox.put(data_frame(id, "event", data))

    async def _watch(self) -> None:
        while True:
            await anyio.sleep(RENEWED_EVERY_S)
            await self._renew()

    def _close_slow(self) -> None:
        logger.info("websocket.slow_consumer principal=%s", self._client.principal.id)
        error = SlowConsumer("frames were not taken in time; read faster, or ask for less at once")
        self._close(_Parting(POLICY_VIOLATION, "slow consumer", error))

    def _close(self, parting: _Parting) -> None:
        self._parting = self._parting or parting
        self._tasks.cancel_scope.cancel()

    async def _part(self, parting: _Parting) -> None:
        """Say why, if that can be said; a client that takes nothing is cut off by the wire (`socket_wire.py`)."""
        with anyio.move_on_after(SAYING_WHY_S), suppress(WebSocketDisconnect):
            if parting.error is not None:
                await self._websocket.send_text(error_frame(None, told(parting.error).body))
            await self._websocket.close(parting.code, parting.reason)

    # -- what a frame asks for -----------------------------------------------------------------------------------

    def _take(self, text: str) -> None:
        """Answer a frame, or start what it asks for. Raises OutboxFull."""
        admitted, id = self._admits(), None
        try:
            frame = read_frame(text)
            id = frame.id
            if not admitted and not isinstance(frame, Cancel):
                raise self._above_the_rate()
            self._obey(frame)
        except BadFrame as bad:
            self._refuse(bad.id, bad if admitted else self._above_the_rate())
        except GatewayError as failure:
            self._refuse(id, failure)

    def _admits(self) -> bool:
        """Whether the rate allows one more frame; a flood ends the socket."""
        admitted = self._bucket.take()
        self._refused_in_a_row = 0 if admitted else self._refused_in_a_row + 1
        if self._refused_in_a_row > MAX_REFUSED:
            logger.info("websocket.flooded principal=%s", self._client.principal.id)
            self._close(_Parting(POLICY_VIOLATION, "too many frames above the rate"))
        return admitted

    def _above_the_rate(self) -> RateLimited:
        return RateLimited(f"more than {self._rules.frames_per_s:g} frames a second; send them more slowly")

    def _refuse(self, id: RequestId | None, failure: GatewayError) -> None:
        self._outbox.post(error_frame(id, told(failure).body))

    def _obey(self, frame: Frame) -> None:
        """Raises InvalidParams, Forbidden, Busy."""
        match frame:
            case Run():
                self._start(frame)
            case Cancel(id):
                if (scope := self._running.get(id)) is not None:  # one that has just ended is nobody's fault
                    scope.cancel()
            case Listen(id, topics, wanted):
                now = self._subscriptions.change(id, topics, wanted)
                self._outbox.post(result_frame(id, encode({"topics": now})))

    # -- calls ---------------------------------------------------------------------------------------------------

    def _start(self, frame: Run) -> None:
        if frame.id in self._running:
            raise InvalidParams(f"a call with the id {frame.id!r} is running; give this one another id")
        if len(self._running) >= self._rules.calls:
            raise Busy(f"{len(self._running)} calls are running on this socket; wait for one to end")
        if frame.confirms:
            check_scope(self._client.principal, "tools/call", "execute")
        scope = self._running[frame.id] = anyio.CancelScope()
        self._tasks.start_soon(self._run, frame, scope)

    async def _run(self, frame: Run, scope: anyio.CancelScope) -> None:
        """One call from its start to the one frame that ends it."""
        try:
            with self._in_flight, scope:
                await checkpoint_if_cancelled()
                await self._renew()
                await SocketCall(frame, self._client, self._gateway, self._outbox).run()
        finally:
            del self._running[frame.id]
        if scope.cancelled_caught:
            try:
                self._refuse(frame.id, Cancelled("cancelled, as you asked; it may have had effects already"))
            except OutboxFull:
                self._close_slow()

    async def _renew(self) -> None:
        """A key that was revoked or changed since the handshake: it counts before each call and event, else soon."""
        try:
            principal = await self._renewed(self._websocket.scope, self._client.principal)
        except GatewayError as refusal:
            self._close(_Parting(POLICY_VIOLATION, "the key is not accepted any more", refusal))
            await checkpoint()  # where the task that asked is cancelled
            return
        if principal != self._client.principal:
            self._client = self._subscriptions.client = replace(self._client, principal=principal)
