"""The gateway as an OAuth 2.1 resource server: whose token it is, and where clients learn how to get one (RFC 9728).

A token enters, a principal or `Unauthorized` leaves. Tokens are made elsewhere: none is issued here, none passed on.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mcp_gateway.downstream.issuer import Issuer
from mcp_gateway.errors import Unauthorized
from mcp_gateway.security import REFUSED
from mcp_gateway.security.jwt import BadToken, TokenRules, key_name, principal_of
from mcp_gateway.security.principal import SCOPES, Principal

logger = logging.getLogger(__name__)

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
METADATA_PATHS: Final = (WELL_KNOWN, f"{WELL_KNOWN}/mcp")
"""Where clients look, without a credential (RFC 9728, section 3.1; MCP 2025-11-25, basic/authorization)."""
_MAX_AGE_S: Final = 3600


class JwtVerifier:
    """Turns an access token into a principal."""

    def __init__(self, rules: TokenRules, issuer: Issuer) -> None:
        self._rules = rules
        self._issuer = issuer

    async def principal(self, token: str) -> Principal:
        """The token's subject, `oauth:` in front, with the scopes that it was given.

        Raises:
            Unauthorized: not a token for here, or its issuer's key cannot be had; always in the same words.
        """
        try:
            name = key_name(token)
            key = await self._issuer.key(name)
            if key is None:
                raise BadToken("its issuer has no such key, or cannot be reached")
            return principal_of(token, key, self._rules)
        except BadToken as error:
            logger.info("token.refused reason=%r", str(error))
            raise Unauthorized(REFUSED) from None


class ProtectedResource:
    """What clients are told of how to get a token. `base_path` stands in front of all of the gateway's paths."""

    def __init__(self, rules: TokenRules, base_path: str = "") -> None:
        self._rules = rules
        self._base_path = base_path

    def routes(self) -> list[Route]:
        """The metadata, the same at both places; relative to the base path."""
        return [Route(path, self._metadata, methods=["GET"]) for path in METADATA_PATHS]

    def challenge(self, connection: HTTPConnection, *, error: str | None = None, scope: str | None = None) -> str:
        """The value of `WWW-Authenticate`.

        `error` is `invalid_token` with a 401 if a token came, `insufficient_scope` with a 403 (RFC 6750, section 3.1).
        `scope` is one of ours that is missing; the client is told the issuer's names for it.
        """
        values = {
            "error": error,
            "scope": " ".join(self._rules.theirs(scope)) if scope else None,
            "resource_metadata": f"{self._origin(connection)}{METADATA_PATHS[1]}",
        }
        return "Bearer " + ", ".join(f'{name}="{_quoted(value)}"' for name, value in values.items() if value)

    async def _metadata(self, request: Request) -> Response:
        body: dict[str, Any] = {
            "resource": self._resource(request),
            "authorization_servers": [self._rules.issuer],
            "scopes_supported": sorted(self._rules.scopes or SCOPES),
            "bearer_methods_supported": ["header"],
            "resource_name": "mcp-gateway",
        }
        return JSONResponse(body, headers={"Cache-Control": f"public, max-age={_MAX_AGE_S}"})

    def _resource(self, request: Request) -> str:
        """What clients name to the issuer (RFC 8707): the audience if it is an address, else where they came."""
        is_address = self._rules.audience.startswith(("https://", "http://"))
        return self._rules.audience if is_address else f"{self._origin(request)}/mcp"

    def _origin(self, connection: HTTPConnection) -> str:
        """The gateway's address as this client has it. The guard has checked the host."""
        scheme = "https" if connection.url.scheme in ("https", "wss") else "http"
        return f"{scheme}://{connection.url.netloc}{self._base_path}"


def _quoted(value: str) -> str:
    return value.replace("\\", "%5C").replace('"', "%22")
