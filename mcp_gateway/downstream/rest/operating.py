"""Operations that change the gateway itself, for callers with the scope `admin`."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mcp_gateway.downstream import views
from mcp_gateway.downstream.rest.desk import Desk, queried
from mcp_gateway.downstream.rest.requests import ApproveRequest, CacheQuery, Nothing
from mcp_gateway.errors import BadConfig, UnknownName, UpstreamUnavailable, http_body
from mcp_gateway.observe.pins import withheld
from mcp_gateway.security.policy import check_whole


async def restart(desk: Desk, request: Request) -> Response:
    """End every connection to the server, its child process included, and dial anew, which is not waited for."""
    await desk.read(request, Nothing)
    name, view, upstreams = request.path_params["name"], desk.view(request), desk.gateway.upstreams
    if not view.admits_server(name):
        raise views.unknown_server(desk.gateway, view, name)
    if (reason := upstreams.disabled.get(name)) is not None:
        raise UpstreamUnavailable(f"upstream {name!r} is disabled: {reason}", server=name)
    upstreams.reconnect(name)
    return JSONResponse(views.server(desk.gateway, view, name))


async def clear_cache(desk: Desk, request: Request) -> Response:
    query = queried(request, CacheQuery)
    server = query.server
    if server is None:
        check_whole(desk.client(request).principal)
    if server is not None and not (server in desk.gateway.upstreams.names and desk.view(request).admits_server(server)):
        raise UnknownName("server", server)
    return JSONResponse({"removed": desk.process.cache.clear(server, query.older_than_s)})


async def pins(desk: Desk, request: Request) -> Response:
    """Tool definitions that are withheld, and what changed in them."""
    check_whole(desk.client(request).principal)
    desk.gateway.judge_all()
    return JSONResponse({"pins": withheld(desk.process.pins.book)})


async def approve_pins(desk: Desk, request: Request) -> Response:
    """Offer these again; without tools all that are withheld of the server."""
    body, _ = await desk.read(request, ApproveRequest)
    check_whole(desk.client(request).principal)
    desk.gateway.judge_all()
    approved = desk.process.pins.approve(body.server, body.tools)
    await desk.process.pins.save()
    rows = [{"server": each.server, "tool": each.tool, "digest": each.seen.digest} for each in approved]
    return JSONResponse({"approved": rows})


async def reload(desk: Desk, request: Request) -> Response:
    """All of the file, or none of it. A bad file is the caller's to mend: 400, with a line for each problem."""
    await desk.read(request, Nothing)
    check_whole(desk.client(request).principal)
    try:
        waiting = desk.process.reload()
    except BadConfig as bad:
        details = {"code": bad.code, "problems": bad.message.splitlines()}
        return JSONResponse(http_body(bad.message, details), status_code=400)
    return JSONResponse({"reloaded": True, "restart_needed": waiting})
