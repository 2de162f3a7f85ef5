"""The SDK's server with the gateway behind it: handshakes are the SDK's, calls are ours.

The SDK's middleware hands over every message before it is validated, so the typed
models, which drop unknown fields, never touch a relayed one. What the SDK keeps:
`initialize`, `server/discover`, `ping`, listen streams, and everything before a
session is initialized.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final
from uuid import uuid4

import anyio
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.subscriptions import ListenHandler
from mcp.shared.exceptions import MCPError
from starlette.types import Scope

from mcp_gateway import __version__, bridge
from mcp_gateway.call import UNSELECTED, Call, Client, Selection, Sink
from mcp_gateway.catalog import Kind
from mcp_gateway.catalog.headers import HEADER_PREFIX, KEYWORD
from mcp_gateway.downstream import batch
from mcp_gateway.downstream.arrival import params_of
from mcp_gateway.downstream.door import SSE, STDIO, door_of, marked, origin_of, scope_served
from mcp_gateway.downstream.enclosure import enclosed, mcp_error
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.downstream.places import Places
from mcp_gateway.downstream.selection import selection_of
from mcp_gateway.downstream.sessions import Sessions
from mcp_gateway.downstream.sink import CallSink, SdkOutlet
from mcp_gateway.errors import (
    INVALID_REQUEST,
    GatewayError,
    InternalError,
    InvalidParams,
    Overloaded,
    RateLimited,
    RpcError,
    to_rpc,
    to_tool_result,
)
from mcp_gateway.gateway import Gateway
from mcp_gateway.observe.trace import HEADER, Trace, at_work
from mcp_gateway.revisions import CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, LOG_LEVELS, is_modern
from mcp_gateway.security.policy import allows, check_scope
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Raw, RawParams, encode

logger = logging.getLogger(__name__)

Context = ServerRequestContext[Any, Any]

NAME: Final = "mcp-gateway"

CAPABILITIES: Final[Mapping[str, Any]] = {
    "tools": {"listChanged": True},
    "prompts": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "completions": {},
    "logging": {},
}
"""What the gateway offers whatever its upstreams are just now: they come and go, a handshake does not repeat."""

SDK_METHODS: Final = frozenset({"initialize", "server/discover", "ping", "subscriptions/listen"})

SDK_NOTIFICATIONS: Final = frozenset({"notifications/cancelled", "notifications/progress"})
"""Belong to one request, and the SDK knows which."""

LEGACY_ONLY: Final = frozenset({"resources/subscribe", "resources/unsubscribe", "logging/setLevel"})
"""Removed by 2026-07-28; the SDK answers a modern client that sends them."""

_CLIENT: Final = "gateway_client"
"""The key under which a connection remembers its `Client`."""

MAX_SESSIONS: Final = 1000
"""Sessions open at once, unless the configuration says otherwise (our choice)."""

PLACED: Final = frozenset({SSE})
"""Doors where a stream has its place before there is a session, and keeps it."""

SUBSCRIBED_WITHIN_S: Final = 1.0
"""How long a listen waits for upstreams to confirm its resources; a slow one confirms later (our choice)."""

_request_numbers = count(1)


class Endpoint:
    """One `mcp.server.lowlevel.Server` for all doors."""

    def __init__(
        self,
        gateway: Gateway,
        sessions: Sessions,
        selection: Selection = UNSELECTED,
        *,
        max_sessions: int = MAX_SESSIONS,
    ) -> None:
        """`selection` is what clients get that ask for nothing else; `max_sessions` holds over all doors."""
        self._gateway = gateway
        self.places = Places(max_sessions)
        self.selection = selection
        self._open: dict[str, Client] = {}
        self.on_close: Callable[[str], None] = lambda session: None
        self._sessions = sessions
        self.server: Server[Any] = Server(
            NAME,
            version=__version__,
            on_subscriptions_listen=ListenHandler(sessions.bus),
            get_tool_input_schema=self._input_schema,
        )
        self.server.middleware[:] = [self._handle]
        self.in_flight = InFlight()

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        """What the SDK compares `Mcp-Param-*` headers with; None where no argument has a header.

        None, too, for a tool that is not there for whoever asks: the path of the call refuses it as unknown.
        """
        route = self._gateway.catalog.find(Kind.TOOL, name)
        if route is None or not route.header_params:
            return None
        scope = scope_served()
        asker = Client("headers", selection=selection_of(scope) or self.selection, principal=principal_of(scope))
        return _header_schema(route.header_params) if self._gateway.showcase.view(asker)(route) else None

    async def _handle(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Every inbound message, request or notification (the SDK's `ServerMiddleware`)."""
        if ctx.request_id is None:
            return await self._notification(ctx, call_next)
        if ctx.method in SDK_METHODS:
            return await self._sdk_method(ctx, call_next)
        if not _initialized(ctx):
            raise MCPError(INVALID_REQUEST, "not initialized: send initialize first")
        if ctx.method in LEGACY_ONLY and is_modern(ctx.protocol_version):
            return await call_next(ctx)
        with self.in_flight:
            return await self._request(ctx)

    # -- what is ours --------------------------------------------------------------------------------------------

    async def _request(self, context: Context) -> dict[str, Any]:
        call = self._call(context)
        sink = CallSink(call, _progress_token(context.params), SdkOutlet(context))
        answer: Raw | RpcError
        async with anyio.create_task_group() as group:
            group.start_soon(sink.pump)
            answer = await self.answer(call, sink)
            await sink.drained()
            group.cancel_scope.cancel()
        if isinstance(answer, RpcError):
            raise mcp_error(answer)
        return enclosed(answer)

    async def answer(self, call: Call, sink: Sink) -> Raw | RpcError:
        """The result, or the error as a value: a task group would wrap a raised one."""
        try:
            return await self._gateway.route(call, sink)
        except RpcError as refused:
            return refused
        except (Overloaded, RateLimited) as refusal:
            if call.method == "tools/call":
                return bridge.shaped(Raw(encode(to_tool_result(refusal))), call)  # a model can wait
            return RpcError(encode(to_rpc(refusal)))
        except GatewayError as failure:
            return RpcError(encode(to_rpc(failure)))
        except Exception:  # boundary: whatever is wrong in here costs one call, and its text stays in here
            with at_work(call.trace):
                logger.exception("endpoint.call_failed method=%s", call.method)
            return RpcError(encode(to_rpc(InternalError("internal error"))))

    def _call(self, context: Context) -> Call:
        """Raises MCPError (invalid_params): what every method has is not in the params as it must be."""
        read = dict(context.params or {})
        meta, scope = _meta_of(read), _scope(context)
        told = None if context.request is None else context.request.headers.get(HEADER)
        return self.call(context.method, params_of(scope, read), meta, self._client(context, meta), told)

    def call(
        self, method: str, params: RawParams, meta: Mapping[str, Any], client: Client, traceparent: str | None
    ) -> Call:
        """A request of a client as a call; `meta` is the plain `_meta`, `traceparent` the HTTP header."""
        trace = Trace.at_door(meta.get(HEADER), traceparent)
        return Call(method, params, client, log_level=self._log_level(client, meta), trace=trace)

    def _log_level(self, client: Client, meta: Mapping[str, Any]) -> str | None:
        if not client.modern:
            return self._gateway.log_level(client)
        level = meta.get(LOG_LEVEL)
        return level if level in LOG_LEVELS else None

    def _client(self, context: Context, meta: Mapping[str, Any]) -> Client:
        """Raises MCPError (invalid_params): what a modern client tells of itself is not as it must be."""
        if is_modern(context.protocol_version):
            capabilities = _object(meta, CLIENT_CAPABILITIES, "params._meta") or {}
            info = _object(meta, CLIENT_INFO, "params._meta")
            return self.stateless(context.protocol_version, capabilities, info, _scope(context))
        return _asking_now(context.session._connection.state[_CLIENT], _scope(context))

    def stateless(
        self, revision: str, capabilities: Mapping[str, Any], info: Mapping[str, Any] | None, scope: Scope
    ) -> Client:
        """The client of one modern request."""
        key = f"request-{next(_request_numbers)}"
        return Client(key, revision, capabilities, info, **self._asker(scope))

    def client_of(self, session: str, scope: Scope) -> Client | None:
        """The client of an HTTP session as it asks now; None where there is no such session, or it is another's."""
        client = self._open.get(session)
        return None if client is None or client.principal.id != principal_of(scope).id else _asking_now(client, scope)

    def takes_batches(self, session: str, scope: Scope) -> bool:
        """Whether the session speaks the one revision that has them."""
        client = self.client_of(session, scope)
        return client is not None and client.revision == batch.REVISION

    def _asker(self, scope: Scope) -> dict[str, Any]:
        """What a client is by the request it comes with: its door, its selection, its principal, our address."""
        return {
            "door": door_of(scope),
            "selection": selection_of(scope) or self.selection,
            "principal": principal_of(scope),
            "origin": origin_of(scope),
        }

    def wants_headers(self, tool: str) -> bool:
        """Whether arguments of the tool are repeated in headers, which have to be compared."""
        route = self._gateway.catalog.find(Kind.TOOL, tool)
        return route is not None and bool(route.header_params)

    def has_profile(self, name: str | None) -> bool:
        return name is None or name in self._gateway.showcase.rules.profiles

    def belongs(self, session: str, profile: str | None) -> bool:
        """Whether a session may be used under the profile's address; an unknown one is the transport's business."""
        client = self._open.get(session)
        return client is None or client.selection.profile == profile

    # -- what is the SDK's ---------------------------------------------------------------------------------------

    async def _sdk_method(self, context: Context, call_next: CallNext) -> HandlerResult:
        if context.method == "subscriptions/listen":
            return await self._listen(context, call_next)
        result = await call_next(context)
        if context.method in ("initialize", "server/discover") and isinstance(result, dict):
            result["capabilities"] = self._capabilities(is_modern(context.protocol_version))
            if (instructions := self._instructions(context)) is not None:
                result["instructions"] = instructions
        if context.method == "initialize" and isinstance(result, dict):
            self._open_session(context, result["protocolVersion"])
        return result

    def _instructions(self, context: Context) -> str | None:
        """What servers say of themselves, for whoever may list what they offer."""
        if not allows(_principal(context), context.method):
            return None
        view = self._gateway.showcase.view(Client("handshake", **self._asker(_scope(context))))
        return self._gateway.catalog.instructions_for(view)

    def _capabilities(self, modern: bool) -> dict[str, Any]:
        extensions: dict[str, Any] = {"extensions": {"io.modelcontextprotocol/ui": {}}} if modern else {}
        return {**CAPABILITIES, **extensions}

    def _open_session(self, context: Context, revision: str) -> None:
        connection = context.session._connection
        params = context.params or {}
        known = connection.state.get(_CLIENT)
        key = known.key if known is not None else connection.session_id or uuid4().hex
        client = Client(
            key=key,
            revision=revision,
            capabilities=params.get("capabilities") or {},
            info=params.get("clientInfo"),
            session=key,
            **self._asker(_scope(context)),
        )
        connection.state[_CLIENT] = client
        self._open[key] = client
        if known is None:
            if client.door not in PLACED:
                self.places.enter(client.principal)
            connection.exit_stack.callback(self._close_session, client)

    def _close_session(self, client: Client) -> None:
        if client.door not in PLACED:
            self.places.leave(client.principal)
        self._open.pop(client.key, None)
        self.on_close(client.key)
        self._sessions.leave(client)
        self._gateway.release(client)

    async def _listen(self, context: Context, call_next: CallNext) -> HandlerResult:
        """A modern listen; the resources it names are subscribed to upstream for as long as it lasts."""
        client = self._client(context, _meta_of(context.params or {}))
        try:
            check_scope(client.principal, context.method)
        except GatewayError as refusal:
            raise _as_mcp(to_rpc(refusal)) from None
        uris = [uri for uri in _listened_uris(context.params or {}) if not self._gateway.hides(client, uri)]
        context = replace(context, params=_listening_to(uris, context.params or {}))
        subscribed = anyio.Event()
        outcome: HandlerResult | Exception
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._subscribe, uris, client, subscribed)
                with anyio.move_on_after(SUBSCRIBED_WITHIN_S):
                    await subscribed.wait()
                outcome = await _as_value(call_next(context))
                group.cancel_scope.cancel()
        finally:
            self._gateway.release(client)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _subscribe(self, uris: list[str], client: Client, done: anyio.Event) -> None:
        async with anyio.create_task_group() as group:
            for uri in uris:
                group.start_soon(self._subscribe_one, Call("resources/subscribe", {"uri": uri}, client))
        done.set()

    async def _subscribe_one(self, call: Call) -> None:
        try:
            await self._gateway.route(call)
        except (GatewayError, RpcError) as failure:
            logger.info("endpoint.subscribe_failed reason=%s", type(failure).__name__)

    async def _notification(self, context: Context, call_next: CallNext) -> HandlerResult:
        result = await call_next(context)
        connection = context.session._connection
        client: Client | None = connection.state.get(_CLIENT)
        if client is None:
            return result
        if context.method == "notifications/initialized":
            self._sessions.enter(client, connection)
        elif context.method not in SDK_NOTIFICATIONS:
            await self._told(replace(client, principal=_principal(context)), context)
        return result

    async def _told(self, client: Client, context: Context) -> None:
        """A notification has no answer, so a refusal is only logged."""
        try:
            await self._gateway.notify(client, context.method, dict(context.params or {}))
        except GatewayError as refusal:
            logger.info("endpoint.notification_refused code=%s", refusal.code)


def _as_mcp(error: Mapping[str, Any]) -> MCPError:
    return MCPError(error["code"], error["message"], error.get("data"))


def _meta_of(params: Mapping[str, Any]) -> Mapping[str, Any]:
    return _object(params, "_meta", "params") or {}


def _object(within: Mapping[str, Any], member: str, where: str) -> dict[str, Any] | None:
    """Raises MCPError (invalid_params)."""
    value = within.get(member)
    if not isinstance(value, dict | None):
        raise _as_mcp(to_rpc(InvalidParams(f"{where}.{member} must be an object")))
    return value


def _initialized(context: Context) -> bool:
    return is_modern(context.protocol_version) or _CLIENT in context.session._connection.state


async def _as_value(handling: Awaitable[HandlerResult]) -> HandlerResult | Exception:
    """An outcome that a task group does not wrap."""
    try:
        return await handling
    except Exception as failure:  # boundary: the SDK's own handling; it goes on unchanged outside the group
        return failure


def _principal(context: Context) -> Principal:
    """Who sent the message: each request of a session tells anew, since what a key may do can change meanwhile."""
    return principal_of(_scope(context))


def _scope(context: Context) -> Scope:
    """What the doors wrote down about the request; a message in memory came as if on standard input."""
    return marked({}, STDIO) if context.request is None else context.request.scope


def _asking_now(client: Client, scope: Scope) -> Client:
    """What a key may do can change while its session lasts."""
    principal = principal_of(scope)
    return client if client.principal == principal else replace(client, principal=principal)


def _progress_token(params: Mapping[str, Any] | None) -> object:
    meta = (params or {}).get("_meta")
    return meta.get("progressToken") if isinstance(meta, dict) else None


def _listened_uris(params: Mapping[str, Any]) -> list[str]:
    notifications = params.get("notifications")
    uris = notifications.get("resourceSubscriptions") if isinstance(notifications, dict) else None
    return [uri for uri in uris if isinstance(uri, str)] if isinstance(uris, list) else []


def _listening_to(uris: list[str], params: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params of a listen without the resources that are not among `uris`."""
    if len(uris) == len(_listened_uris(params)):
        return params
    return {**params, "notifications": {**params["notifications"], "resourceSubscriptions": uris}}


def _header_schema(header_params: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    """A schema with nothing but the header annotations, rebuilt from the route's table."""
    root: dict[str, Any] = {"type": "object", "properties": {}}
    for path, header in header_params.items():
        node = root
        for step in path[:-1]:
            node = node["properties"].setdefault(step, {"type": "object", "properties": {}})
        node["properties"][path[-1]] = {"type": "string", KEYWORD: header.removeprefix(HEADER_PREFIX)}
    return root
