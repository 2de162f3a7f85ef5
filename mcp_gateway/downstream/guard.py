"""Host and Origin checks, before anything else, on every HTTP door (R-ORIGIN-1).

A web page in the user's browser may reach loopback; what it cannot do is send a
Host of ours together with no Origin, or an Origin on the list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mcp_gateway.errors import http_body

OWN_NAMES: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What a client on this machine calls it in Host and Origin. Narrower than `is_loopback` on purpose: there are browsers
that ask the DNS for a name below `.localhost`."""


class Guard:
    """ASGI: lets a request in when its Host and its Origin, if any, are allowed; 403 otherwise, before any WebSocket.

    `hosts` are names with or without port; a name without port allows every port. `origins` are
    `scheme://host[:port]`; loopback origins always are allowed, and pages of our own. `Origin: null` never is.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._app = app
        self._hosts = OWN_NAMES | {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None if scope["type"] == "lifespan" else self.refusal(scope["headers"], scope.get("scheme", ""))
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            response = JSONResponse(http_body(refusal, {"code": "forbidden"}), status_code=403)
            await response(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": refusal})

    def refusal(self, headers: Iterable[tuple[bytes, bytes]], scheme: str = "http") -> str | None:
        """Why the request may not enter, None when it may; `scheme` is that of the request."""
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        origins = [value.decode("latin-1") for name, value in headers if name == b"origin"]
        if len(hosts) != 1 or not self._host_allowed(hosts[0].lower()):
            return "Host is not allowed; add it to server.allowed_hosts"
        ours = f"{scheme}://{hosts[0]}".lower()
        if len(origins) > 1 or (
            origins and origins[0].lower() != ours and not self._origin_allowed(origins[0].lower())
        ):
            return "Origin is not allowed; add it to server.allowed_origins"
        return None

    def _host_allowed(self, host: str) -> bool:
        return host in self._hosts or _without_port(host) in self._hosts

    def _origin_allowed(self, origin: str) -> bool:
        if origin in self._origins:
            return True
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in ("http", "https") and _without_port(parts.netloc) in OWN_NAMES


def _without_port(host: str) -> str:
    """`name:port` without its port; the brackets of an IPv6 address stay."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host
