"""Who may come in over HTTP: the one place where a credential becomes a principal, for every door.

A request or a WebSocket enters; it goes on marked with its principal, or is answered 401 or 429 here, before a socket
is accepted and, unless it is signed, before a body is read.
"""

from __future__ import annotations

import hmac
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.downstream.body import read_body, replay
from mcp_gateway.downstream.identity import identified
from mcp_gateway.errors import GatewayError, InternalError, RateLimited, Unauthorized, to_http
from mcp_gateway.security import REFUSED
from mcp_gateway.security.key_store import KeyRing
from mcp_gateway.security.keys import PREFIX
from mcp_gateway.security.principal import LOCAL, Principal

if TYPE_CHECKING:
    from mcp_gateway.downstream.oauth_resource import JwtVerifier, ProtectedResource
    from mcp_gateway.security.signing import Signatures

logger = logging.getLogger(__name__)

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What answers without a credential (design, decision 4)."""

FAILURES: Final = 10
FAILURE_WINDOW_S: Final = 60.0
"""Wrong credentials of one address within this time before it is told to wait; right ones still pass, since nobody
guesses 256 bits and a shared address must not lock anybody out (our choice)."""

ADDRESSES: Final = 4096
"""Addresses whose failures are remembered; the ones seen longest ago are forgotten first (our choice)."""

_KEY_OFFERED: Final = "bearer."
"""Begins the subprotocol that holds a key: all that a browser can put into the handshake of a WebSocket (R-WS-1)."""


class Authentication:
    """Turns a request's credentials into a principal: a signature before a token or a key, and never two of those."""

    def __init__(
        self,
        ring: KeyRing,
        required: Callable[[], bool],
        *,
        signed_only: Callable[[], bool] = lambda: False,
        signatures: Callable[[], Signatures] | None = None,
        tokens: JwtVerifier | None = None,
    ) -> None:
        """`required`: whoever shows no credential is refused. `signed_only`: a key alone is none, either.

        `signatures` is called for the first signed request; `tokens` knows those of an authorization server.
        """
        self._ring = ring
        self._required = required
        self._signed_only = signed_only
        self._signatures = signatures
        self._tokens = tokens
        self._failures = _Failures()
        self.local_token: str | None = None
        """The credential of this machine's command line, from the run file."""

    @property
    def is_asked_for(self) -> bool:
        """Whether whoever shows no credential is refused, at this moment."""
        return self._required()

    async def admit(self, scope: Scope, receive: Receive, max_body_bytes: int) -> tuple[Principal, Receive]:
        """Who it is, and what gives the request's body; a signed one had to be read.

        Raises:
            Unauthorized: no credential, or one that is not accepted.
            RateLimited: too many of those from this address, or too many signed requests of this key.
            MessageTooLarge, TooSlow, ClientDisconnect: a signed body that is too large, too slow or cut off.
            BadConfig, SecretKeyRefused, SecretDamaged: the keys cannot be read.
        """
        if not self._required():
            return LOCAL, receive
        headers = Headers(scope=scope)
        if self._signatures is not None and "signature-input" in headers:
            return await self._signed(self._signatures(), scope, receive, max_body_bytes)
        presented = _presented(headers)
        try:
            if len(presented) == 1 and (principal := await self._known(presented[0])) is not None:
                return principal, receive
            raise Unauthorized(REFUSED)
        except Unauthorized:
            if presented:
                self._failed(scope)
            raise

    async def renewed(self, scope: Scope, admitted: Principal) -> Principal:
        """Who it is now that was admitted when a connection was opened which is still open.

        A signature counts once, so it is its key that is looked at. Nothing here counts as a guess.
        Raises Unauthorized, BadConfig.
        """
        if not self._required():
            if admitted != LOCAL:
                raise Unauthorized(REFUSED)  # a door that was unlocked meanwhile makes nobody more than it was
            return LOCAL
        headers = Headers(scope=scope)
        if self._signatures is not None and "signature-input" in headers:
            key = self._ring.named(admitted.id.removeprefix("key:"))
            principal = None if key is None else key.principal
        else:
            presented = _presented(headers)
            principal = await self._known(presented[0]) if len(presented) == 1 else None
        if principal is None:
            raise Unauthorized(REFUSED)
        return principal

    async def _known(self, credential: str) -> Principal | None:
        """Raises Unauthorized: a token that is none, or none any more; BadConfig."""
        if self.local_token is not None and hmac.compare_digest(credential.encode(), self.local_token.encode()):
            return LOCAL
        if self._signed_only():
            return None
        if self._tokens is not None and credential.count(".") == 2 and not credential.startswith(PREFIX):
            return await self._tokens.principal(credential)
        key = self._ring.find(credential)
        return None if key is None else key.principal

    async def _signed(
        self, signatures: Signatures, scope: Scope, receive: Receive, max_body_bytes: int
    ) -> tuple[Principal, Receive]:
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        authority = Headers(scope=scope).get("host", "")
        query = scope["query_string"].decode("latin-1")
        try:
            head = signatures.read(
                scope.get("method", "GET"), scope["scheme"], authority, path, query, scope["headers"]
            )
            body = await read_body(receive, max_body_bytes) if scope["type"] == "http" else b""
            key = self._ring.named(signatures.admit(head, body))
        except Unauthorized:
            self._failed(scope)
            raise
        if key is None:
            raise Unauthorized(REFUSED)
        return key.principal, replay(body, receive) if scope["type"] == "http" else receive

    def _failed(self, scope: Scope) -> None:
        """Raises RateLimited."""
        self._failures.count(scope["client"][0] if scope.get("client") else "")


class Authenticating:
    """ASGI: everything behind the one `Authentication`. `resource` tells clients where tokens come from."""

    def __init__(
        self,
        app: ASGIApp,
        authentication: Authentication,
        *,
        max_body_bytes: int,
        base_path: str = "",
        open_paths: frozenset[str] = OPEN_PATHS,
        resource: ProtectedResource | None = None,
    ) -> None:
        self._app = app
        self._authentication = authentication
        self._max_body_bytes = max_body_bytes
        self._open = {f"{base_path}{path}" for path in open_paths}
        self._resource = resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in self._open:
            await self._app(scope, receive, send)
            return
        try:
            principal, receive = await self._authentication.admit(scope, receive, self._max_body_bytes)
        except GatewayError as refusal:
            await self._refuse(refusal, scope, receive, send)
            return
        except ClientDisconnect:
            return
        except Exception:  # boundary: a credential that breaks our reading of it costs its own request
            logger.exception("auth.failed path=%s", scope["path"])
            await self._refuse(InternalError("internal error"), scope, receive, send)
            return
        await self._app(identified(scope, principal), receive, send)

    async def _refuse(self, refusal: GatewayError, scope: Scope, receive: Receive, send: Send) -> None:
        logger.info("auth.refused code=%s path=%s", refusal.code, scope["path"])
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.message[:120]})
            return
        status, body = to_http(refusal)
        headers = {"WWW-Authenticate": self._challenge(scope)} if isinstance(refusal, Unauthorized) else {}
        if refusal.retry_after_s is not None:
            headers["Retry-After"] = str(math.ceil(refusal.retry_after_s))
        await JSONResponse(body, status, headers)(scope, receive, send)

    def _challenge(self, scope: Scope) -> str:
        if self._resource is None:
            return "Bearer"
        error = "invalid_token" if _presented(Headers(scope=scope)) else None
        return self._resource.challenge(HTTPConnection(scope), error=error)


def _presented(headers: Headers) -> list[str]:
    """Every credential that was sent; more than one is none, since it is not clear which one is meant."""
    bearers = [value.partition(" ") for value in headers.getlist("authorization")]
    tokens = [token.strip() for scheme, _, token in bearers if scheme.lower() == "bearer"]
    offers = [offer.strip() for value in headers.getlist("sec-websocket-protocol") for offer in value.split(",")]
    offered = [offer.removeprefix(_KEY_OFFERED) for offer in offers if offer.startswith(_KEY_OFFERED)]
    return list(dict.fromkeys([*tokens, *headers.getlist("x-api-key"), *offered]))


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
            refusal = RateLimited("too many wrong credentials from this address; wait before you try again")
            refusal.retry_after_s = began_s + FAILURE_WINDOW_S - now_s
            raise refusal
