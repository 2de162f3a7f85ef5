"""Which door of MCP a request came through: written on its scope where the door hangs, never read from its path.

The scope is also kept while the request is served, for what the SDK asks without saying for whom.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

HTTP: Final = "http"
SSE: Final = "sse"
STDIO: Final = "stdio"

SESSION_HEADER: Final = "mcp-session-id"
REVISION_HEADER: Final = "mcp-protocol-version"
"""Of Streamable HTTP, as ASGI spells them."""

_KEY: Final = "mcp_gateway.door"

_serving: ContextVar[Scope | None] = ContextVar("mcp_gateway.serving", default=None)


class Door:
    """ASGI: marks what passes."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app = app
        self._name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = marked(scope, self._name)
        before = _serving.set(scope)
        try:
            await self._app(scope, receive, send)
        finally:
            _serving.reset(before)


def marked(scope: Scope, name: str) -> Scope:
    """A copy of the scope that says which door."""
    return {**scope, _KEY: name}


def door_of(scope: Scope) -> str:
    door: str = scope.get(_KEY, HTTP)
    return door


def origin_of(scope: Scope) -> str | None:
    """The `scheme://host` under which a request reached us, its Host checked on the way in; None for other messages."""
    hosts = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"host"]
    return f"{scope['scheme']}://{hosts[0]}" if len(hosts) == 1 else None


def scope_served() -> Scope:
    """Of the request that this task serves; an empty one where it came through no door of HTTP."""
    return _serving.get() or {}
