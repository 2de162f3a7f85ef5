"""The HTTP doors as one ASGI application: `/mcp`, `/mcp/{profile}`, `/sse` with `/messages/`, REST, `/ws`, health and
metrics.

Streamable HTTP and HTTP+SSE are the SDK's transports around the one `Endpoint`; this
module only hangs them at their paths, behind the guard.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from mcp.server.runner import serve_loop
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.downstream import rest
from mcp_gateway.downstream.auth import OPEN_PATHS, Authenticating, Authentication
from mcp_gateway.downstream.door import HTTP, SSE, Door
from mcp_gateway.downstream.enclosure import Opening
from mcp_gateway.downstream.endpoint import Endpoint
from mcp_gateway.downstream.failures import told
from mcp_gateway.downstream.guard import Guard
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.lane import Lane
from mcp_gateway.downstream.login_pages import LoginPages
from mcp_gateway.downstream.screen import Screen
from mcp_gateway.downstream.selection import Selecting
from mcp_gateway.downstream.standing import Standing
from mcp_gateway.downstream.websocket import PATH as WEBSOCKET
from mcp_gateway.downstream.websocket import SocketRules, WebSocketDoor
from mcp_gateway.errors import Busy, Forbidden, http_body, to_http
from mcp_gateway.gateway import Gateway
from mcp_gateway.security.policy import check_whole, require
from mcp_gateway.upstream.oauth.desk import Desk
from mcp_gateway.wire import encode

if TYPE_CHECKING:
    from mcp_gateway.downstream.oauth_resource import ProtectedResource

_MCP_METHODS = ["GET", "POST", "DELETE"]

_RENAMING_BYTES = 256
"""What a message may grow by under an id of ours, after its size was checked."""


@dataclass(frozen=True, slots=True)
class HttpRules:
    """How the HTTP doors behave. Sizes in bytes, times in seconds."""

    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    base_path: str = ""
    max_body_bytes: int = 4 * 1024 * 1024
    session_idle_s: float = 1800.0
    fast_lane: bool = True
    sockets: SocketRules = field(default_factory=SocketRules)


class Entry(Protocol):
    """Who may come in. `resource` is None where no authorization server is believed."""

    @property
    def authentication(self) -> Authentication: ...

    @property
    def resource(self) -> ProtectedResource | None: ...


Render = Callable[[str], tuple[bytes, str]]
"""From an `Accept` header to a body and its content type."""


def http_app(
    gateway: Gateway,
    endpoint: Endpoint,
    rules: HttpRules,
    process: rest.Process,
    entry: Entry,
    metrics: Render | None = None,
    desk: Desk | None = None,
) -> ASGIApp:
    """The application; its lifespan holds the Streamable HTTP sessions. Without `metrics` there is no `/metrics`,
    without a `desk` there are no pages for logins to servers.
    """
    manager = StreamableHTTPSessionManager(
        app=endpoint.server,
        max_request_body_size=rules.max_body_bytes + _RENAMING_BYTES,
        max_sessions=endpoint.places.limit,
        session_idle_timeout=rules.session_idle_s,
    )
    sse = SseServerTransport("/messages/", max_request_body_size=rules.max_body_bytes + _RENAMING_BYTES)
    screened = partial(Screen, max_body_bytes=rules.max_body_bytes)
    standing = partial(Standing, renewed=entry.authentication.renewed)
    lane = Lane(endpoint, manager._server_instances) if rules.fast_lane else None  # the SDK shows its sessions nowhere
    streamable = screened(
        Opening(manager.handle_request), places=endpoint.places, lane=lane, takes_batches=endpoint.takes_batches
    )
    door = Door(streamable, HTTP)
    mcp = standing(Selecting(door, endpoint))
    metadata = entry.resource.routes() if entry.resource is not None else []
    logins = [] if desk is None else LoginPages(desk, entry.authentication, rules.base_path).routes()
    sockets = WebSocketDoor(gateway, endpoint, rules.sockets, entry.authentication.renewed)
    app = Starlette(
        routes=_under(
            rules.base_path,
            [
                Route("/mcp", _Asgi(mcp), methods=_MCP_METHODS),
                Route("/mcp/{profile}", _Asgi(mcp), methods=_MCP_METHODS),
                Route("/sse", _Asgi(standing(Opening(_sse_door(endpoint, sse)))), methods=["GET"]),
                Route("/messages/", _Asgi(Door(screened(sse.handle_post_message), SSE))),
                WebSocketRoute(WEBSOCKET, sockets.serve),
                Mount(rest.PREFIX, routes=rest.routes(gateway, process, endpoint.in_flight, rules.max_body_bytes)),
                *metadata,
                *logins,
                Route("/openapi.json", _document(rules.base_path), methods=["GET"]),
                Route("/healthz", _alive, methods=["GET"]),
                Route("/readyz", _alive, methods=["GET"]),
                *([] if metrics is None else [Route("/metrics", _metrics(metrics), methods=["GET"])]),
            ],
        ),
        lifespan=_lifespan(manager, lane),
        exception_handlers={404: _not_found, 405: _not_allowed},
    )
    known = Authenticating(
        _Front(app, f"{rules.base_path}/mcp", mcp),
        entry.authentication,
        max_body_bytes=rules.max_body_bytes,
        base_path=rules.base_path,
        open_paths=OPEN_PATHS | {route.path for route in [*metadata, *logins]},
        resource=entry.resource,
    )
    return Guard(known, hosts=rules.allowed_hosts, origins=rules.allowed_origins)


def _under(base_path: str, routes: list[BaseRoute]) -> list[BaseRoute]:
    return [Mount(base_path, routes=routes)] if base_path else routes


def _lifespan(manager: StreamableHTTPSessionManager, lane: Lane | None) -> Callable[[Starlette], Any]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with manager.run(), anyio.create_task_group() as group:
            if lane is not None:
                await group.start(lane.run)
            yield
            group.cancel_scope.cancel()

    return lifespan


class _Front:
    """ASGI: the one address that nearly all requests have goes to its door at once; `app` knows all others."""

    def __init__(self, app: ASGIApp, path: str, door: ASGIApp) -> None:
        self._app = app
        self._path = path
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_hot = scope["type"] == "http" and scope["path"] == self._path and scope["method"] == "POST"
        await (self._door if is_hot else self._app)(scope, receive, send)


class _Asgi:
    """A bare ASGI callable as a route's endpoint: Starlette would take a plain function for a handler."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


def _sse_door(endpoint: Endpoint, sse: SseServerTransport) -> ASGIApp:
    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with endpoint.places.place(principal_of(scope)):
                await serve(scope, receive, send)
        except Busy as full:
            status, body = to_http(full)
            await JSONResponse(body, status)(scope, receive, send)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async with sse.connect_sse(scope, receive, send) as (incoming, outgoing):
            # The loop of the handshake era: on this transport there is no other (protocol facts, trap 2).
            await serve_loop(endpoint.server, incoming, outgoing, lifespan_state=None)

    return door


def _document(base_path: str) -> Callable[[Request], Any]:
    """The description of REST, made when it is first asked for."""
    made: list[bytes] = []

    async def answer(request: Request) -> Response:
        if not made:
            made.append(encode(rest.document(base_path)))
        return Response(made[0], media_type="application/json")

    return answer


async def _alive(request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _metrics(render: Render) -> Callable[[Request], Awaitable[Response]]:
    async def metrics(request: Request) -> Response:
        try:
            require(principal_of(request.scope), "read")
            check_whole(principal_of(request.scope))
        except Forbidden as refusal:
            return told(refusal).response()
        body, content_type = render(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    return metrics


async def _not_found(request: Request, error: Exception) -> Response:
    return JSONResponse(http_body("not found", {"code": "not_found"}), status_code=404)


async def _not_allowed(request: Request, error: Exception) -> Response:
    headers = getattr(error, "headers", None)
    allowed = ", ".join(sorted((headers or {}).get("Allow", "").replace(" ", "").split(",")))
    text = f"method not allowed; use {allowed}" if allowed else "method not allowed"
    return JSONResponse(http_body(text, {"code": "method_not_allowed"}), status_code=405, headers=headers)
