"""Operations that look: listings, servers, the status, the cache's counters. All of them through the caller's view."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mcp_gateway.downstream import views
from mcp_gateway.downstream.rest.desk import Desk, queried
from mcp_gateway.downstream.rest.requests import CallsQuery
from mcp_gateway.security.policy import has_whole


async def tools(desk: Desk, request: Request) -> Response:
    await desk.gateway.settled()
    return JSONResponse({"tools": views.tools(desk.gateway, desk.view(request))})


async def prompts(desk: Desk, request: Request) -> Response:
    await desk.gateway.settled()
    return JSONResponse({"prompts": views.prompts(desk.gateway, desk.view(request))})


async def resources(desk: Desk, request: Request) -> Response:
    await desk.gateway.settled()
    return JSONResponse({"resources": views.resources(desk.gateway, desk.view(request))})


async def servers(desk: Desk, request: Request) -> Response:
    return JSONResponse({"servers": views.servers(desk.gateway, desk.view(request))})


async def server(desk: Desk, request: Request) -> Response:
    name = request.path_params["name"]
    found = views.server(desk.gateway, desk.view(request), name)
    if found is None:
        raise views.unknown_server(desk.gateway, desk.view(request), name)
    return JSONResponse(found)


async def status(desk: Desk, request: Request) -> Response:
    return JSONResponse(desk.process.status(desk.client(request)))


async def calls(desk: Desk, request: Request) -> Response:
    """The newest first; those of others than the caller are for admins only."""
    principal = desk.client(request).principal
    whose = None if "admin" in principal.scopes and has_whole(principal) else principal.id
    return JSONResponse({"calls": desk.process.calls(queried(request, CallsQuery).limit, whose)})


async def cache(desk: Desk, request: Request) -> Response:
    return JSONResponse(views.cache(desk.process.cache.stats()))
