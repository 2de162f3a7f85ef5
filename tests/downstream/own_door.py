"""The HTTP doors of a gateway once more, for one principal, with limits of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp_gateway.downstream.http import HttpRules, http_app
from mcp_gateway.downstream.identity import identified
from mcp_gateway.downstream.rest import Process
from mcp_gateway.downstream.websocket import SocketRules
from mcp_gateway.security.principal import LOCAL, Principal
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.interaction.house import House, Served, served


@asynccontextmanager
async def door(
    home: House, principal: Principal = LOCAL, *, max_sessions: int = 1000, ping_s: float = 20.0, **limits: float
) -> AsyncIterator[Served]:
    """`limits` are those of `SocketRules`."""
    rules = HttpRules(max_sessions=max_sessions, sockets=SocketRules(**limits))  # type: ignore[arg-type]  # they fit
    app = http_app(home.app.gateway, home.app.endpoint, rules, Process(home.app.status, home.app.cache))
    async with served(_for(principal, app), ping_s=ping_s) as doors:
        yield doors


def _for(principal: Principal, app: ASGIApp) -> ASGIApp:
    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        await app(identified(scope, principal) if scope["type"] == "websocket" else scope, receive, send)

    return marked
