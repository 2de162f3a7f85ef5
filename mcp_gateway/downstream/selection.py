"""Which part of the whole an HTTP address stands for: `/mcp/{profile}` and `?mode=all|search|auto`.

A request enters; it goes on, marked with its selection, when there is such a part and
its session, if it has one, belongs to it. Otherwise it is answered here.
"""

from __future__ import annotations

from typing import Final, Protocol

from starlette.datastructures import Headers, QueryParams
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.call import Mode, Selection
from mcp_gateway.downstream.door import SESSION_HEADER
from mcp_gateway.errors import INVALID_REQUEST, RpcError, http_body
from mcp_gateway.wire import error_reply

_KEY: Final = "mcp_gateway.selection"


class Parts(Protocol):
    """What there is to select from."""

    selection: Selection
    """What a request gets that leaves it open."""

    def has_profile(self, name: str | None) -> bool: ...

    def belongs(self, session: str, profile: str | None) -> bool: ...


class Selecting:
    """ASGI: one door behind the choice of its part."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Three refusals: 1. no such profile; 2. no such mode; 3. a session of another profile, which is as unknown."""
        profile = scope.get("path_params", {}).get("profile")
        mode = QueryParams(scope["query_string"]).get("mode") if scope["query_string"] else None
        if not self._parts.has_profile(profile):
            refusal: Response = _refusal(404, "not found", "not_found")
        elif mode is not None and mode not in tuple(Mode):
            refusal = _refusal(400, f"mode must be one of {', '.join(Mode)}", "invalid_params")
        else:
            selection = self._parts.selection
            if profile or mode:
                selection = Selection(profile, Mode(mode) if mode else None).over(selection)
            session = Headers(scope=scope).get(SESSION_HEADER)
            if session is None or self._parts.belongs(session, selection.profile):
                await self._app({**scope, _KEY: selection}, receive, send)
                return
            body = error_reply(None, RpcError.of(INVALID_REQUEST, "Session not found").raw)
            refusal = Response(body, 404, media_type="application/json")
        await refusal(scope, receive, send)


def selection_of(scope: Scope) -> Selection | None:
    """What the request was marked with; None where it came through a door that stands for no part."""
    selection: Selection | None = scope.get(_KEY)
    return selection


def _refusal(status: int, message: str, code: str) -> Response:
    return JSONResponse(http_body(message, {"code": code}), status_code=status)
