"""Who is behind an HTTP request or a WebSocket: written on its scope by the guard, read by the doors."""

from __future__ import annotations

from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.types import Scope

from mcp_gateway.security.principal import LOCAL, Principal

_KEY: Final = "mcp_gateway.principal"
_OWN: Final = "mcp_gateway.own"


def identified(scope: Scope, principal: Principal, *, own: bool = False) -> Scope:
    """The scope, marked; `own` where this machine's command line has shown its token.

    The SDK's transports compare `user` with whoever opened a session, and answer others 404.
    """
    token = AccessToken(token="", client_id=principal.id, scopes=[])
    return {**scope, _KEY: principal, _OWN: own, "user": AuthenticatedUser(token)}


def principal_of(scope: Scope) -> Principal:
    """Who was found out; the local person where nobody had to say."""
    principal: Principal = scope.get(_KEY, LOCAL)
    return principal


def is_own(scope: Scope) -> bool:
    """Whether the command line of this machine asks, which operates the gateway as a whole."""
    own: bool = scope.get(_OWN, False)
    return own
