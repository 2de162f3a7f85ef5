"""The WebSocket door: many calls at once over one connection, what happens during them, and events.

A socket enters whose Host, Origin and key were checked before; frames (`frames.py`) come and go until it closes. Every
call goes through `Gateway.route`. Nothing a client sends ends its socket, except what breaks the framing; what it asked
for and does not take does. A socket that closes takes its calls with it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import uuid4

import anyio
import anyio.abc
import anyio.lowlevel
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from mcp_gateway.call import Call, Client
from mcp_gateway.downstream.bucket import Bucket
from mcp_gateway.downstream.call_events import CallEvents, EventKind
from mcp_gateway.downstream.endpoint import Endpoint
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
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.outbox import Outbox, OutboxFull
from mcp_gateway.downstream.topics import Subscriptions
from mcp_gateway.errors import (
    ERROR_META_KEY,
    Busy,
    Cancelled,
    GatewayError,
    InternalError,
    InvalidParams,
    RateLimited,
    RpcError,
    SlowConsumer,
    http_body,
    to_http,
)
from mcp_gateway.gateway import Gateway
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Malformed, Raw, RequestId, encode, fields, loads

logger = logging.getLogger(__name__)

Identify = Callable[[Scope], Awaitable[Principal]]
"""Who a handshake's credentials stand for as of now. Raises GatewayError when they stand for nobody any more."""

PATH: Final = "/ws"

SUBPROTOCOL: Final = "mcp-gateway"
"""Chosen where it is offered; a browser that offers any gives up when none is chosen (WHATWG, WebSockets)."""

# RFC 6455, section 7.4.1, and the registry it founds.
UNSUPPORTED_DATA: Final = 1003
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013

SAYING_WHY_S: Final = 1.0
"""How long a socket that is being closed gets to hear why (our choice)."""

MAX_REFUSED: Final = 1000
"""Frames in a row above the rate, after which a client is not answered any more (our choice)."""

_TYPES: Final = {
    EventKind.PROGRESS: "progress",
    EventKind.STATUS: "progress",
    EventKind.TOOL_CALL: "tool_call",
    EventKind.TOOL_RESULT: "tool_result",
    EventKind.DELTA: "delta",
}
"""Frames of what happens during a call; log messages have none."""


@dataclass(frozen=True, slots=True)
class SocketRules:
    """How much of everything there is (our choices)."""

    calls: int = 32
    """Running calls of one socket, with those whose answers wait to be taken."""

    sockets: int = 64
    """Open sockets of one principal."""

    frames_per_s: float = 100.0
    burst: int = 200
    """Frames of one client."""

    taken_within_s: float = 30.0
    """What a frame may take to be sent (security facts, R-SLOW-1: a write stalls for 30 s at most)."""


class WebSocketDoor:
    """All open sockets."""

    def __init__(
        self, gateway: Gateway, endpoint: Endpoint, rules: SocketRules, max_sockets: int, identify: Identify
    ) -> None:
        """`max_sockets` are open at once, whoever opened them. `identify` is the authentication behind the door."""
        self.gateway = gateway
        self.in_flight = endpoint.in_flight
        self.rules = rules
        self.identify = identify
        self._endpoint = endpoint
        self._max_sockets = max_sockets
        self._open: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._open.total()

    async def serve(self, websocket: WebSocket) -> None:
        """One socket, from its handshake to its end."""
        key = uuid4().hex
        client = Client(
            key,
            revision=LATEST_LEGACY,
            session=key,
            door="websocket",
            selection=self._endpoint.selection,
            principal=principal_of(websocket.scope),
        )
        with self._counted(client.principal.id) as has_room, suppress(WebSocketDisconnect):
            await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
            if not has_room:
                logger.info("websocket.refused principal=%s open=%d", client.principal.id, len(self))
                await websocket.close(TRY_AGAIN_LATER, "too many sockets are open; close one, or try again later")
                return
            try:
                await _Socket(self, websocket, client).serve()
            finally:
                self.gateway.release(client)

    @contextmanager
    def _counted(self, principal: str) -> Iterator[bool]:
        """Whether there is room for one more."""
        has_room = self._open[principal] < self.rules.sockets and len(self) < self._max_sockets
        self._open[principal] += 1
        try:
            yield has_room
        finally:
            self._open[principal] -= 1
            self._open += Counter()  # forgets who has none


@dataclass(frozen=True, slots=True)
class _Parting:
    """Why the gateway closes a socket; `error` is what its client is told first."""

    code: int
    reason: str
    error: GatewayError | None = None


class _Socket:
    """One connection: a reader that never waits for the client, a writer that does, and a task for each call."""

    def __init__(self, door: WebSocketDoor, websocket: WebSocket, client: Client) -> None:
        self._door = door
        self._websocket = websocket
        self._client = client
        self._outbox = Outbox()
        self._subscriptions = Subscriptions(door.gateway, client)
        self._running: dict[RequestId, anyio.CancelScope] = {}
        self._bucket = Bucket(door.rules.frames_per_s, door.rules.burst)
        self._refused_in_a_row = 0
        self._parting: _Parting | None = None
        self._group: anyio.abc.TaskGroup

    async def serve(self) -> None:
        unsubscribe = self._door.gateway.events.subscribe(self._subscriptions.hear)
        try:
            async with anyio.create_task_group() as self._group:
                self._group.start_soon(self._write)
                self._group.start_soon(self._announce)
                await self._read()
                self._group.cancel_scope.cancel()
        finally:
            unsubscribe()
        if self._parting is not None:
            await self._part(self._parting)

    # -- the ends ------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Take frames until the socket closes. Nothing in here waits for the client to take one."""
        try:
            while self._parting is None:
                message = await self._websocket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if (text := message.get("text")) is None:
                    self._close(_Parting(UNSUPPORTED_DATA, "frames are JSON in text"))
                    return
                self._take(text)
        except OutboxFull:
            self._close(_slow(self._client))

    async def _write(self) -> None:
        try:
            while True:
                frame = await self._outbox.take()
                with anyio.fail_after(self._door.rules.taken_within_s):
                    await self._websocket.send_text(frame)
        except TimeoutError:
            self._close(_slow(self._client))
        except WebSocketDisconnect:
            self._group.cancel_scope.cancel()

    async def _announce(self) -> None:
        while True:
            id, data = await self._subscriptions.next()
            await self._renew()
            await self._outbox.put(data_frame(id, "event", data))

    async def _renew(self) -> None:
        """A key that was revoked or changed since the handshake: it has its effect on the next call and event."""
        try:
            principal = await self._door.identify(self._websocket.scope)
        except GatewayError as refusal:
            self._close(_Parting(POLICY_VIOLATION, "the key is not accepted any more", refusal))
            await anyio.lowlevel.checkpoint()  # where whoever asked is cancelled
            return
        if principal != self._client.principal:
            self._client = self._subscriptions.client = replace(self._client, principal=principal)

    def _close(self, parting: _Parting) -> None:
        self._parting = self._parting or parting
        self._group.cancel_scope.cancel()

    async def _part(self, parting: _Parting) -> None:
        """Say why, if that can be said; a client that takes nothing is cut off by the wire (`socket_wire.py`)."""
        with anyio.move_on_after(SAYING_WHY_S), suppress(WebSocketDisconnect):
            if parting.error is not None:
                await self._websocket.send_text(error_frame(None, to_http(parting.error)[1]))
            await self._websocket.close(parting.code, parting.reason)

    # -- what a frame asks for -----------------------------------------------------------------------------------

    def _take(self, text: str) -> None:
        """Answer a frame, or start what it asks for. Raises OutboxFull."""
        try:
            frame = read_frame(text)
        except BadFrame as bad:
            self._refuse(bad.id, bad if self._bucket_admits() else self._above_the_rate())
            return
        try:
            if not self._bucket_admits() and not isinstance(frame, Cancel):
                raise self._above_the_rate()
            self._obey(frame)
        except GatewayError as failure:
            self._refuse(frame.id, failure)

    def _bucket_admits(self) -> bool:
        admitted = self._bucket.take()
        self._refused_in_a_row = 0 if admitted else self._refused_in_a_row + 1
        if self._refused_in_a_row >= MAX_REFUSED:
            logger.info("websocket.flooded principal=%s", self._client.principal.id)
            self._close(_Parting(POLICY_VIOLATION, "too many frames above the rate"))
        return admitted

    def _above_the_rate(self) -> RateLimited:
        return RateLimited(f"more than {self._door.rules.frames_per_s:g} frames a second; send them more slowly")

    def _refuse(self, id: RequestId | None, failure: GatewayError) -> None:
        self._outbox.post(error_frame(id, to_http(failure)[1]))

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

    def _start(self, frame: Run) -> None:
        if frame.id in self._running:
            raise InvalidParams(f"a call with the id {frame.id!r} is running; give this one another id")
        if len(self._running) >= self._door.rules.calls:
            raise Busy(f"{len(self._running)} calls are running on this socket; wait for one to end")
        scope = self._running[frame.id] = anyio.CancelScope()
        self._group.start_soon(self._run, frame, scope)

    # -- a call --------------------------------------------------------------------------------------------------

    async def _run(self, frame: Run, scope: anyio.CancelScope) -> None:
        """One call from its start to the one frame that ends it."""
        try:
            with self._door.in_flight, scope:
                await self._renew()
                await self._outbox.put(await self._answer(frame))
        finally:
            del self._running[frame.id]
        if scope.cancelled_caught:
            with suppress(OutboxFull):  # whoever reads nothing is closed by the writer
                self._refuse(frame.id, Cancelled("cancelled, as you asked; it may have had effects already"))

    async def _answer(self, frame: Run) -> str:
        """The frame that ends the call; those of what happens meanwhile have been put before."""
        events = CallEvents(self._client.key)
        call = Call("tools/call", dict(frame.params), self._client, deadline_s=frame.deadline_s)
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell, frame.id, events)
            answer = await self._outcome(frame, call, events)
            events.close()
        if events.dropped:
            logger.debug("websocket.events_dropped count=%d", events.dropped)
        return answer

    async def _tell(self, id: RequestId, events: CallEvents) -> None:
        async for event in events:
            if (kind := _TYPES.get(event.kind)) is None:
                continue
            data = {"message": event.data["text"]} if event.kind is EventKind.STATUS else event.data
            with suppress(UnicodeEncodeError):  # half a surrogate: JSON has no such text
                await self._outbox.put(data_frame(id, kind, data))

    async def _outcome(self, frame: Run, call: Call, events: CallEvents) -> str:
        """The outcome as a value: a task group would wrap an error."""
        try:
            raw = await self._door.gateway.route(call, events)
            return _asked(frame.id, raw) if frame.is_ask else result_frame(frame.id, raw)
        except Malformed:
            body = to_http(InternalError("internal error"))[1]
        except RpcError as refused:
            body = _upstream_error(refused)
        except GatewayError as failure:
            body = to_http(failure)[1]
        except Exception:  # boundary: whatever is wrong in here costs one call, and its text stays in here
            logger.exception("websocket.call_failed")
            body = to_http(InternalError("internal error"))[1]
        return error_frame(frame.id, body)


def _slow(client: Client) -> _Parting:
    logger.info("websocket.slow_consumer principal=%s", client.principal.id)
    error = SlowConsumer("frames were not taken in time; read faster, or ask for less at once")
    return _Parting(POLICY_VIOLATION, "slow consumer", error)


def _asked(id: RequestId, raw: Raw) -> str:
    """What `ask` answers, without the tool's result around it; a failure on the way is an error. Raises Malformed."""
    if (answer := fields(raw).get("structuredContent")) is not None:
        return result_frame(id, answer)
    failed = loads(raw)
    code, server = (failed["_meta"][ERROR_META_KEY][name] for name in ("code", "server"))
    details = {"code": code} if server is None else {"code": code, "server": server}
    return error_frame(id, http_body(failed["content"][0]["text"], details))


def _upstream_error(refused: RpcError) -> dict[str, Any]:
    """An upstream's own error, unchanged within ours."""
    error = refused.error
    return http_body(error["message"], {"code": "upstream_error", "rpc": error})
