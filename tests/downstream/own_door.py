"""The HTTP doors of a gateway once more, with limits of a test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mcp_gateway.downstream.http import HttpRules, http_app
from mcp_gateway.downstream.websocket import SocketRules

from tests.interaction.house import House, Served, served


@asynccontextmanager
async def door(
    home: House, *, base_path: str = "", max_sessions: int = 1000, ping_s: float = 20.0, **limits: float
) -> AsyncIterator[Served]:
    """`limits` are those of `SocketRules`."""
    rules = HttpRules(base_path=base_path, sockets=SocketRules(total=max_sessions, **limits))  # type: ignore[arg-type]  # they fit
    app = home.app
    async with served(http_app(app.gateway, app.endpoint, rules, app.process, app.access), ping_s=ping_s) as doors:
        yield doors
