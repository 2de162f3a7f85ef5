"""Who is behind an HTTP request or a WebSocket: written on its scope by the guard, read by the doors."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.types import Scope

from mcp_gateway.security.principal import LOCAL, Principal

_KEY: Final = "mcp_gateway.principal"


def identified(scope: Scope, principal: Principal) -> Scope:
    """The scope, marked. The SDK's transports compare `user` with whoever opened a session, and answer others 404."""
    return {**scope, _KEY: principal, "user": _user(principal.id)}


@lru_cache(maxsize=1024)
def _user(id: str) -> AuthenticatedUser:
    return AuthenticatedUser(AccessToken(token="", client_id=id, scopes=[]))


def principal_of(scope: Scope) -> Principal:
    """Who was found out; the local person where nobody had to say."""
    principal: Principal = scope.get(_KEY, LOCAL)
    return principal
