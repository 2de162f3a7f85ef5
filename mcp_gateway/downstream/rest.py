"""REST under `/api/v1`: the calls and views of the other doors as plain JSON.

Every call goes through `Gateway.route`; errors are `{error, timestamp, details}`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mcp_gateway.cache import TieredCache
from mcp_gateway.call import Call, Client
from mcp_gateway.downstream import pins, views
from mcp_gateway.downstream.body import read_body
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.errors import (
    CODES,
    GatewayError,
    InternalError,
    InvalidParams,
    RpcError,
    UnknownName,
    http_body,
    to_http,
)
from mcp_gateway.gateway import Gateway
from mcp_gateway.security.pin_desk import PinDesk
from mcp_gateway.security.policy import check_admin
from mcp_gateway.wire import Malformed, Raw, check, fields, loads

logger = logging.getLogger(__name__)

PREFIX = "/api/v1"

_requests = count(1)

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Process:
    """What REST shows of the process besides the gateway: its whole state, its cache and its pins."""

    status: Callable[[], dict[str, Any]]
    cache: TieredCache
    pins: PinDesk


def routes(gateway: Gateway, process: Process, in_flight: InFlight, max_body_bytes: int) -> list[Route]:
    """Starlette routes, without the prefix."""
    rest = _Rest(gateway, process, in_flight, max_body_bytes)
    return [
        Route("/servers", _guarded(rest.servers), methods=["GET"]),
        Route("/servers/{name:path}", _guarded(rest.server), methods=["GET"]),
        Route("/tools", _guarded(partial(rest.listing, "tools", views.tools)), methods=["GET"]),
        Route("/tools/{name}/call", _guarded(rest.call), methods=["POST"]),
        Route("/prompts", _guarded(partial(rest.listing, "prompts", views.prompts)), methods=["GET"]),
        Route("/resources", _guarded(partial(rest.listing, "resources", views.resources)), methods=["GET"]),
        Route("/status", _guarded(rest.status), methods=["GET"]),
        Route("/cache", _guarded(rest.cache), methods=["GET", "DELETE"]),
        Route("/pins", _guarded(rest.pins), methods=["GET"]),
        Route("/pins/approve", _guarded(rest.approve), methods=["POST"]),
    ]


class _Rest:
    def __init__(self, gateway: Gateway, process: Process, in_flight: InFlight, max_body_bytes: int) -> None:
        self._gateway = gateway
        self._process = process
        self._in_flight = in_flight
        self._max_body_bytes = max_body_bytes

    async def listing(self, key: str, view: Callable[[Gateway], list[dict[str, Any]]], request: Request) -> Response:
        await self._gateway.settled()
        return JSONResponse({key: view(self._gateway)})

    async def servers(self, request: Request) -> Response:
        return JSONResponse({"servers": views.servers(self._gateway)})

    async def server(self, request: Request) -> Response:
        name = request.path_params["name"]
        found = views.server(self._gateway, name)
        if found is None:
            raise UnknownName("server", name)
        return JSONResponse(found)

    async def status(self, request: Request) -> Response:
        return JSONResponse(self._process.status())

    async def cache(self, request: Request) -> Response:
        """GET: counters of the whole and of each tier. DELETE `?server=NAME&older_than_s=N`: how many are gone."""
        if request.method != "DELETE":
            return JSONResponse(views.cache(self._process.cache.stats()))
        server = request.query_params.get("server")
        if server is not None and server not in self._gateway.upstreams.names:
            raise UnknownName("server", server)
        older_than_s = _seconds(request.query_params.get("older_than_s"))
        return JSONResponse({"removed": self._process.cache.clear(server, older_than_s)})

    async def pins(self, request: Request) -> Response:
        """Tool definitions that are withheld, and what changed in them; for operators, as is approving them."""
        check_admin(principal_of(request.scope))
        self._gateway.judge_all()
        return JSONResponse(pins.listing(self._process.pins))

    async def approve(self, request: Request) -> Response:
        """`{"server": "up", "tools": ["echo"]}`: offer these again; without tools all that are withheld."""
        check_admin(principal_of(request.scope))
        body = await read_body(request.receive, self._max_body_bytes)
        self._gateway.judge_all()
        return JSONResponse(await pins.approve(self._process.pins, body))

    async def call(self, request: Request) -> Response:
        """`{"arguments": {...}, "timeout_s": 5}` in, the `CallToolResult` out: 200 also when `isError` (decision 9)."""
        arguments, deadline_s = _call_body(await read_body(request.receive, self._max_body_bytes))
        client = Client(key=f"rest-{next(_requests)}", revision="2025-11-25", door="rest")
        params = {"name": request.path_params["name"], "arguments": arguments}
        call = Call("tools/call", params, client, deadline_s=deadline_s)
        with self._in_flight:
            return Response(bytes(await self._gateway.route(call)), media_type="application/json")


def _seconds(text: str | None) -> float | None:
    """A query's number of seconds. Raises InvalidParams."""
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise InvalidParams("older_than_s must be a number of seconds")
    return seconds


def _call_body(body: bytes) -> tuple[Raw, float | None]:
    """The arguments, and the caller's own deadline in seconds. Raises InvalidParams."""
    body = body or b"{}"
    try:
        check(body)
        loads(body)  # every number in it, too
        members = fields(body)
    except Malformed as bad:
        raise InvalidParams(f"the request body is {bad}; send a JSON object with arguments") from None
    if unknown := set(members) - {"arguments", "timeout_s"}:
        raise InvalidParams(f"unknown member {sorted(unknown)[0]!r}; the body holds arguments and timeout_s")
    arguments = members.get("arguments", Raw(b"{}"))
    if not bytes(arguments).lstrip().startswith(b"{"):
        raise InvalidParams("arguments must be a JSON object")
    timeout_s = loads(members.get("timeout_s", Raw(b"null")))
    if timeout_s is not None and (type(timeout_s) not in (int, float) or timeout_s <= 0):
        raise InvalidParams("timeout_s must be a number of seconds above 0")
    return arguments, timeout_s


def _guarded(handler: Handler) -> Handler:
    """The one place where failures become HTTP bodies."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except GatewayError as failure:
            status, body = to_http(failure)
        except RpcError as refused:
            error = refused.error
            status = 400 if error["code"] == CODES["invalid_params"].rpc else 502
            body = http_body(error["message"], {"code": "upstream_error", "rpc": error})
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except Exception:  # boundary: whatever is wrong in here costs one request, and its text stays in here
            logger.exception("rest.request_failed path=%s", request.url.path)
            status, body = to_http(InternalError("internal error"))
        return JSONResponse(body, status_code=status)

    return answer
