"""The fast lane: the hot POSTs of `/mcp`, read from the envelope alone and answered by `Gateway.route`.

An accelerator, no second path: the call, its sink and its answer are those of the
`Endpoint`. What is not plainly one of a few kinds of messages goes on to the SDK's
transport untouched, which also says what is wrong with it: `serve` is False then.

The answer is JSON until something has to be said before it; then the response becomes
an event stream (2025-11-25, basic/transports; 2026-07-28, basic/transports/streamable-http).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal, Protocol

import anyio
import anyio.abc
import msgspec
from mcp.server.streamable_http import REQUEST_CANCELLED
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, InboundModernRoute, classify_inbound_request
from starlette.types import Receive, Scope, Send

from mcp_gateway.call import Call, Client
from mcp_gateway.downstream.arrival import read
from mcp_gateway.downstream.attendants import Attendants
from mcp_gateway.downstream.endpoint import Endpoint
from mcp_gateway.downstream.lane_stream import LaneStream
from mcp_gateway.downstream.questions import Questions
from mcp_gateway.downstream.sink import CallSink
from mcp_gateway.errors import INVALID_REQUEST, RpcError
from mcp_gateway.observe.trace import HEADER
from mcp_gateway.revisions import LEGACY, PREFIX, is_modern
from mcp_gateway.wire import (
    Malformed,
    Raw,
    RawParams,
    RequestId,
    check,
    error_reply,
    loads,
    notification,
    reply,
)

METHODS: Final = frozenset(
    {
        "tools/call",
        "tools/list",
        "prompts/get",
        "prompts/list",
        "resources/read",
        "resources/list",
        "resources/templates/list",
        "completion/complete",
    }
)

ATTEND_AFTER_S: Final = 0.05
"""A call that lasts longer is watched: its client may leave, and wants to hear that it is still on (our choice)."""

PING_EVERY_S: Final = 15.0
"""As the SDK's transports do it."""

_WATCHED: Final = frozenset(
    {
        b"accept",
        b"content-type",
        b"content-encoding",
        b"mcp-session-id",
        b"mcp-protocol-version",
        b"mcp-method",
        b"mcp-name",
        HEADER.encode(),
    }
)
_CANCELLED: Final = RpcError.of(REQUEST_CANCELLED, "Request cancelled")

_PARAM_HEADER: Final = b"mcp-param-"

_FAR = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{200}")
"""Where a number may be one that no double holds, 200 digits and `e99` being none: such a message has to be read to its
end."""


class Posted(msgspec.Struct, frozen=True):
    """One message as a client posts it."""

    jsonrpc: Literal["2.0"]
    id: RequestId | None = None
    method: str | None = None
    params: dict[str, Raw] | None = None
    result: Raw = Raw(b"")
    error: Raw = Raw(b"")


_decode: Final = msgspec.json.Decoder(Posted).decode


class Transports(Protocol):
    """The SDK's session manager: what the lane has to know of its sessions."""

    def get(self, session: str) -> Any: ...


class Lane:
    """Needs `run` around it. `transports` are the SDK's, by session id."""

    def __init__(self, endpoint: Endpoint, transports: Transports) -> None:
        self._endpoint = endpoint
        self._transports = transports
        self._under_way: dict[str, dict[RequestId, list[anyio.CancelScope]]] = {}
        self._questions = Questions()
        self._group: anyio.abc.TaskGroup | None = None
        endpoint.on_close = self._close

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """The home of what attends long calls, until cancelled."""
        async with anyio.create_task_group() as self._group:
            task_status.started()
            try:
                await anyio.sleep_forever()
            finally:
                self._group = None

    async def serve(self, body: bytes, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the message was the lane's; then it is answered."""
        heads = _heads(scope["headers"])
        message = None if heads is None else _posted(body)
        if heads is None or message is None or self._group is None:
            return False
        session = heads.get(b"mcp-session-id", b"").decode("latin-1")
        if message.method is None:
            return self._is_answer(message, session, scope) and await _accepted(send)
        if message.id is None:
            return self._cancels(message, session, scope) and await _accepted(send)
        if (
            message.method not in METHODS
            or (call := self._call(message, message.method, heads, session, scope)) is None
        ):
            return False
        with self._endpoint.in_flight, ExitStack() as awake:
            awake.enter_context(_awake(self._transports.get(call.client.session or "")))
            await self._run(message.id, call, receive, send, Attendants(self._group), awake)
        return True

    # -- which messages ------------------------------------------------------------------------------------------

    def _call(
        self, message: Posted, method: str, heads: Mapping[bytes, bytes], session: str, scope: Scope
    ) -> Call | None:
        came = message.params or {}
        try:
            params = read(came)
            meta = loads(came["_meta"]) if "_meta" in came else {}
        except Malformed:
            return None
        if not isinstance(meta, dict) or self._has_param_headers(method, params):
            return None
        revision = heads.get(b"mcp-protocol-version", b"").decode("latin-1")
        if is_modern(revision):
            client = self._modern(method, params, meta, heads, scope)
        else:
            client = self._legacy(revision, meta, session, scope)
        if client is None:
            return None
        told = heads.get(HEADER.encode())
        return self._endpoint.call(method, params, meta, client, None if told is None else told.decode("latin-1"))

    def _has_param_headers(self, method: str, params: RawParams) -> bool:
        name = params.get("name")
        return method == "tools/call" and isinstance(name, str) and self._endpoint.wants_headers(name)

    def _modern(
        self, method: str, params: RawParams, meta: Mapping[str, Any], heads: Mapping[bytes, bytes], scope: Scope
    ) -> Client | None:
        headers = {name.decode(): value.decode("latin-1") for name, value in heads.items()}
        verdict = classify_inbound_request({"method": method, "params": {**params, "_meta": meta}}, headers=headers)
        if not isinstance(verdict, InboundModernRoute) or not isinstance(verdict.client_info, dict | None):
            return None
        capabilities = verdict.client_capabilities
        if not isinstance(capabilities, dict):
            return None
        return self._endpoint.stateless(verdict.protocol_version, capabilities, verdict.client_info, scope)

    def _legacy(self, revision: str, meta: Mapping[str, Any], session: str, scope: Scope) -> Client | None:
        if not session or (revision and revision not in LEGACY):
            return None
        if any(name.startswith(PREFIX) for name in meta):
            return None
        transport = self._transports.get(session)
        if transport is None or transport.is_terminated or _has_idled_out(transport):
            return None
        return self._endpoint.client_of(session, scope)

    def _is_answer(self, message: Posted, session: str, scope: Scope) -> bool:
        answer = _answer_of(message)
        if answer is None or not isinstance(message.id, str) or self._endpoint.client_of(session, scope) is None:
            return False
        return self._questions.answer(session, message.id, answer)

    def _cancels(self, message: Posted, session: str, scope: Scope) -> bool:
        """A call that shares its id with another is not cancelled: nobody knows which is meant (SDK facts, trap 3)."""
        if message.method != "notifications/cancelled" or self._endpoint.client_of(session, scope) is None:
            return False
        try:
            id = loads((message.params or {}).get("requestId", b"null"))
        except Malformed:
            return False
        calls = self._under_way.get(session, {}).get(id, []) if isinstance(id, str) or type(id) is int else []
        if not calls:
            return False
        if len(calls) == 1:
            calls[0].cancel()
        return True

    # -- a call under way ----------------------------------------------------------------------------------------

    async def _run(
        self, id: RequestId, call: Call, receive: Receive, send: Send, attendants: Attendants, awake: ExitStack
    ) -> None:
        session = call.client.session or ""
        stream = LaneStream(send, session)
        way_back = _WayBack(stream, self._questions, session)
        sink = CallSink(call, _token(call.params), way_back, lambda: attendants.start(sink.pump))
        answer: Raw | RpcError = _CANCELLED
        with anyio.CancelScope() as work, self._listed(session, id, work):
            attending = asyncio.get_running_loop().call_later(
                ATTEND_AFTER_S,
                attendants.start,
                lambda: _attend(stream, receive, awake, work if call.client.modern else None),
            )
            try:
                answer = await self._endpoint.answer(call, sink)
                await sink.drained()
            finally:
                attending.cancel()
                attendants.end()
        if isinstance(answer, RpcError):
            status = ERROR_CODE_HTTP_STATUS.get(answer.error["code"], 200) if call.client.modern else 200
            await stream.finish(error_reply(id, answer.told), status)
        else:
            await stream.finish(reply(id, answer), 200)

    @contextmanager
    def _listed(self, session: str, id: RequestId, work: anyio.CancelScope) -> Iterator[None]:
        if not session:
            yield
            return
        calls = self._under_way.setdefault(session, {})
        calls.setdefault(id, []).append(work)
        try:
            yield
        finally:
            calls[id].remove(work)
            if not calls[id]:
                del calls[id]
            if not calls and self._under_way.get(session) is calls:
                del self._under_way[session]

    def _close(self, session: str) -> None:
        for calls in self._under_way.pop(session, {}).values():
            for work in calls:
                work.cancel()


class _WayBack:
    """The outlet of one call: events of its response."""

    def __init__(self, stream: LaneStream, questions: Questions, session: str) -> None:
        self._stream = stream
        self._questions = questions
        self._session = session

    async def notify(self, method: str, params: bytes) -> None:
        await self._stream.event(notification(method, Raw(params)))

    async def ask(self, method: str, params: bytes) -> Raw:
        if not self._session:
            raise RpcError.of(INVALID_REQUEST, f"there is no way to ask this client: {method}")
        return await self._questions.ask(self._session, method, params, self._stream.event)


async def _attend(stream: LaneStream, receive: Receive, awake: ExitStack, work: anyio.CancelScope | None) -> None:
    """Keep the response alive until its client leaves; then nobody keeps the session `awake`, or waits for `work`.

    A modern client that leaves has cancelled (2026-07-28, basic/transports); a legacy one has not, but its session may
    idle out, or a question to it would be open for ever.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(stream.ping_every, PING_EVERY_S)
        while (await receive())["type"] != "http.disconnect":
            pass
        awake.close()
        if work is not None:
            work.cancel()
        group.cancel_scope.cancel()


def _heads(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes] | None:
    """The headers that matter here; None where the SDK has to look at them."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _WATCHED:
            if name in found:
                return None
            found[name] = value
        elif name.startswith(_PARAM_HEADER):
            return None
    accept = found.get(b"accept", b"")
    speaks = b"application/json" in accept and b"text/event-stream" in accept
    is_json = found.get(b"content-type", b"").partition(b";")[0].strip() == b"application/json"
    return found if speaks and is_json and b"content-encoding" not in found else None


def _posted(body: bytes) -> Posted | None:
    try:
        check(body)
        if _FAR.search(body) is not None:
            loads(body)
        return _decode(body)
    except (Malformed, msgspec.MsgspecError, RecursionError, ValueError):
        return None


def _answer_of(message: Posted) -> Raw | RpcError | None:
    """What a client answers; None where it is neither a result nor an error, and the SDK says what is wrong with it."""
    if not message.error:
        return message.result if bytes(message.result).startswith(b"{") else None
    refusal = RpcError(bytes(message.error))
    return refusal if refusal.told == refusal.raw else None


def _token(params: RawParams) -> object:
    meta = params.get("_meta")
    return loads(meta["progressToken"]) if isinstance(meta, dict) and "progressToken" in meta else None


@contextmanager
def _awake(transport: Any) -> Iterator[None]:
    """A session with a call under way does not idle out: the SDK counts its own requests only (SDK facts, trap 13)."""
    if transport is None or transport.idle_scope is None:
        yield
        return
    transport._requests_in_flight += 1
    transport.idle_scope.deadline = float("inf")
    try:
        yield
    finally:
        transport._requests_in_flight -= 1
        if not transport._requests_in_flight:
            transport.idle_scope.deadline = anyio.current_time() + transport._idle_timeout


def _has_idled_out(transport: Any) -> bool:
    return transport.idle_scope is not None and bool(transport.idle_scope.cancel_called)


async def _accepted(send: Send) -> bool:
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
    return True
