"""What the tests of the HTTP wires share: dispatchers on a URL, and answers to the handshake."""

from __future__ import annotations

from typing import Any

from mcp_gateway.upstream.dispatch.base import Listener
from mcp_gateway.upstream.dispatch.http import HttpDispatcher
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.dispatch.sse import SseDispatcher

from tests.fakes.http_server import Request, Wire
from tests.upstream.dispatch.pipes import unheard

LEGACY = "2025-11-25"
MODERN = "2026-07-28"


def http(url: str, *, listener: Listener = unheard, **more: Any) -> HttpDispatcher:
    return HttpDispatcher(origin(url, **more), listener=listener)


def sse(url: str, *, listener: Listener = unheard, **more: Any) -> SseDispatcher:
    return SseDispatcher(origin(url, **more), listener=listener)


def origin(url: str, **more: Any) -> Origin:
    return Origin("fake", url, **{"headers": {}, "tls": None, "proxy": None, **more})


async def handshake(dispatcher: HttpDispatcher | SseDispatcher, revision: str = LEGACY, **capabilities: Any) -> None:
    """What the owner of a legacy connection does first."""
    await dispatcher.call(
        "initialize",
        {"protocolVersion": revision, "capabilities": capabilities, "clientInfo": {"name": "test", "version": "1"}},
    )
    dispatcher.negotiated(revision)
    await dispatcher.notify("notifications/initialized")


async def polite(request: Request, wire: Wire, session: str = "s-1") -> bool:
    """Answer what is the same in every test: handshake, notifications, GET, DELETE. False when it is something else."""
    method = request.json.get("method") if request.body else None
    if request.verb in ("GET", "DELETE"):
        await wire.whole(405, b"")
    elif method == "initialize":
        await wire.result(request, {"protocolVersion": LEGACY}, mcp_session_id=session)
    elif method is None or method.startswith("notifications/"):
        await wire.whole(202, b"")
    else:
        return False
    return True


async def echo(request: Request, wire: Wire) -> None:
    """A healthy upstream: every call is answered with its own params."""
    if not await polite(request, wire):
        await wire.result(request, {"echo": request.json.get("params")})
