"""The pages of a remote caller's login to a server: where it begins, and where the issuer sends the browser back to.

A page's request enters, HTML leaves. Whoever opens the first page has to show who it is (2025-11-25,
client/elicitation: who opens the page has to be who was asked to), or a person could be lured to log in for somebody
else. A cookie ties the answer to the browser that began.
"""

from __future__ import annotations

import logging
from html import escape
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from mcp_gateway.downstream.auth import Authentication
from mcp_gateway.downstream.body import read_body
from mcp_gateway.downstream.door import origin_of
from mcp_gateway.errors import GatewayError, InternalError, Unauthorized, UnknownName, to_http
from mcp_gateway.middleware.login import PAGE
from mcp_gateway.upstream.oauth.callback import NOT_UNDER_WAY, read_answer
from mcp_gateway.upstream.oauth.desk import KEEP_S, Desk, Invitation

logger = logging.getLogger(__name__)

CALLBACK: Final = "/oauth/callback"
"""Where issuers send browsers back to, below the gateway's own address."""

MAX_FORM_BYTES: Final = 32 * 1024
"""A token has at most 16 KiB (our choice)."""

_NO_INVITATION: Final = "There is no such login, or it has taken too long. Make the call again."
_NOT_YOU: Final = "This is not the key of whoever was asked to log in."

_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"signature", b"signature-input"})

_HEADERS: Final = {
    "cache-control": "no-store",
    "referrer-policy": "same-origin",  # with no-referrer the form would come with `Origin: null`, which is refused
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
}


class LoginPages:
    """The two pages. `base_path` is what all our paths begin with."""

    def __init__(self, desk: Desk, authentication: Authentication, base_path: str = "") -> None:
        self._desk = desk
        self._authentication = authentication
        self._base_path = base_path

    def routes(self) -> list[Route]:
        return [
            Route(PAGE, self._invite, methods=["GET"]),
            Route(PAGE, self._open, methods=["POST"]),
            Route(CALLBACK, self._close, methods=["GET"]),
        ]

    async def _invite(self, request: Request) -> Response:
        """Says who is asked to log in where. Nothing has happened yet."""
        invitation = self._desk.find(request.query_params.get("id", ""))
        if invitation is None or invitation.done.is_set():
            return _page(404, _NO_INVITATION)
        return self._form(invitation, 200)

    async def _open(self, request: Request) -> Response:
        """Whoever shows to be the one who was asked goes on to the issuer's page."""
        try:
            form = parse_qs((await read_body(request.receive, MAX_FORM_BYTES)).decode("utf-8", "replace"))
            id, key = (form.get(name, [""])[0] for name in ("id", "key"))
            invitation = self._desk.find(id)
            if invitation is None:
                return _page(404, _NO_INVITATION)
            if not await self._is(invitation.principal, request, key):
                return self._form(invitation, 401, _NOT_YOU)
            opened = await self._desk.open(id, invitation.principal, f"{self._address(request)}{CALLBACK}")
        except ClientDisconnect:
            return Response(status_code=400)
        except UnknownName:
            return _page(404, _NO_INVITATION)
        except GatewayError as failure:
            return _page(to_http(failure)[0], failure.message)
        except Exception:  # boundary: what an issuer's answers bring about costs this login alone
            return _fault()
        response = RedirectResponse(opened.attempt.page, 303, _HEADERS)
        response.set_cookie(
            self._cookie(opened.attempt.state),
            opened.browser,
            max_age=int(KEEP_S),
            path=f"{self._base_path}{CALLBACK}",
            secure=request.scope["scheme"] == "https",
            httponly=True,
            samesite="lax",
        )
        return response

    async def _is(self, principal: str, request: Request, key: str) -> bool:
        """Whether the key is that of the principal. Raises RateLimited, BadConfig."""
        try:
            shown, _ = await self._authentication.admit(_showing(request.scope, key), request.receive, 0)
        except Unauthorized:
            return False
        return shown.id == principal

    async def _close(self, request: Request) -> Response:
        """The answer of the issuer, in the browser that was sent there."""
        if request.method != "GET":
            return Response(status_code=405)
        state, answer = read_answer(request.scope["query_string"].decode("latin-1"))
        try:
            invitation = await self._desk.close(state, request.cookies.get(self._cookie(state), ""), answer)
        except UnknownName:
            return _page(400, NOT_UNDER_WAY)
        except GatewayError as failure:
            return _page(to_http(failure)[0], failure.message)
        except Exception:  # boundary: as above
            return _fault()
        return _page(200, f"You are logged in to {invitation.server}. You can close this page and go back.")

    def _form(self, invitation: Invitation, status: int, problem: str = "") -> Response:
        """Asks for the key where doors ask for one."""
        asks = _KEY_FIELD if self._authentication.is_asked_for else ""
        return _page(
            status,
            f"{invitation.principal} is asked to log in to {invitation.server} for this gateway. "
            "Go on only if that is you, and you have just been asked to.",
            f'{_paragraph(problem)}<form method="post"><input type="hidden" name="id" value="{escape(invitation.id)}">'
            f"{asks}<button>Log in</button></form>",
        )

    def _address(self, request: Request) -> str:
        return f"{origin_of(request.scope)}{self._base_path}"

    @staticmethod
    def _cookie(state: str) -> str:
        """Several logins may be under way in one browser."""
        return "mcp-gateway-login-" + "".join(filter(str.isalnum, state))[:12]


_KEY_FIELD: Final = (
    '<p><label>Your key for this gateway <input type="password" name="key" autocomplete="off" required></label></p>'
)


def _showing(scope: Scope, key: str) -> Scope:
    """The request as if the key of the form had come in a header, and no other credential."""
    others = [(name, value) for name, value in scope["headers"] if name not in _CREDENTIALS]
    shown = [(b"x-api-key", key.strip().encode("latin-1", "replace"))] if key.strip() else []
    return {**scope, "headers": [*others, *shown]}


def _fault() -> Response:
    logger.exception("login_pages.failed")
    return _page(500, InternalError("the login met a fault of the gateway; see its log").message)


def _page(status: int, text: str, more: str = "") -> Response:
    body = f"<!doctype html><meta charset=utf-8><title>mcp-gateway</title>{_paragraph(text)}{more}\n"
    return HTMLResponse(body, status, _HEADERS)


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>" if text else ""
