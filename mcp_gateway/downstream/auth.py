"""Who may come in over HTTP: the one place where a credential becomes a principal, for every door.

A request or a WebSocket enters; it goes on marked with its principal, or is answered 401 or 429 here, before a socket
is accepted and before a body is read.
"""

from __future__ import annotations

import hmac
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.downstream.identity import identified
from mcp_gateway.errors import GatewayError, RateLimited, Unauthorized, to_http
from mcp_gateway.security.key_store import KeyRing
from mcp_gateway.security.principal import LOCAL, Principal

logger = logging.getLogger(__name__)

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What answers without a credential (design, decision 4)."""

FAILURES: Final = 10
FAILURE_WINDOW_S: Final = 60.0
"""Wrong credentials of one address within this time before it is told to wait; right ones still pass, since nobody
guesses 256 bits and a shared address must not lock anybody out (our choice)."""

ADDRESSES: Final = 4096
"""Addresses whose failures are remembered; the ones seen longest ago are forgotten first (our choice)."""

_CHALLENGE: Final = "Bearer"
_SAY: Final = "a key is needed: send it as Authorization: Bearer KEY, or as X-API-Key"


class Authentication:
    """Turns a request's credentials into a principal."""

    def __init__(self, ring: KeyRing, required: Callable[[], bool]) -> None:
        """`required` says whether whoever shows no credential is refused."""
        self._ring = ring
        self._required = required
        self._failures = _Failures()
        self.local_token: str | None = None
        """The credential of this machine's command line, from the run file."""

    async def principal(self, scope: Scope) -> Principal:
        """Raises Unauthorized, RateLimited, and BadConfig when the keys cannot be read."""
        if not self._required():
            return LOCAL
        presented = _presented(Headers(scope=scope))
        if len(presented) == 1 and (principal := self._known(presented[0])) is not None:
            return principal
        if presented:
            self._failures.count(scope["client"][0] if scope.get("client") else "")
        raise Unauthorized(_SAY)

    def _known(self, credential: str) -> Principal | None:
        if self.local_token is not None and hmac.compare_digest(credential.encode(), self.local_token.encode()):
            return LOCAL
        key = self._ring.find(credential)
        return None if key is None else key.principal


class Authenticating:
    """ASGI: everything behind the one `Authentication`."""

    def __init__(self, app: ASGIApp, authentication: Authentication, base_path: str = "") -> None:
        self._app = app
        self._authentication = authentication
        self._open = {f"{base_path}{path}" for path in OPEN_PATHS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        try:
            principal = await self._authentication.principal(scope)
        except GatewayError as refusal:
            await _refuse(refusal, scope, receive, send)
            return
        await self._app(identified(scope, principal), receive, send)


async def _refuse(refusal: GatewayError, scope: Scope, receive: Receive, send: Send) -> None:
    logger.info("auth.refused code=%s path=%s", refusal.code, scope["path"])
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:120]})
        return
    status, body = to_http(refusal)
    headers = {"WWW-Authenticate": _CHALLENGE} if isinstance(refusal, Unauthorized) else {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
    await JSONResponse(body, status, headers)(scope, receive, send)


def _presented(headers: Headers) -> list[str]:
    """Every credential that was sent; more than one is none, since it is not clear which one is meant."""
    bearers = [value.partition(" ") for value in headers.getlist("authorization")]
    tokens = [token.strip() for scheme, _, token in bearers if scheme.lower() == "bearer"]
    return list(dict.fromkeys([*tokens, *headers.getlist("x-api-key")]))


class _Failures:
    """Wrong credentials by address, in a window that starts with the first."""

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, address: str) -> None:
        """Raises RateLimited from the eleventh on."""
        now_s = time.monotonic()
        began_s, count = self._by_address.pop(address, (now_s, 0))
        if now_s - began_s >= FAILURE_WINDOW_S:
            began_s, count = now_s, 0
        self._by_address[address] = began_s, count + 1
        while len(self._by_address) > ADDRESSES:
            self._by_address.popitem(last=False)
        if count >= FAILURES:
            refusal = RateLimited("too many wrong keys from this address; wait before you try again")
            refusal.retry_after_s = began_s + FAILURE_WINDOW_S - now_s
            raise refusal
