"""An authorization server that people and programs log in at, and an MCP server that takes its tokens alone.

Both are real and on loopback. The authorization server knows its clients, checks PKCE, gives each code and each
refresh token out for one use, and can be told to misbehave. The MCP server is the SDK's, with the SDK's own guard.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

import anyio
import httpx2
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.routes import create_protected_resource_routes
from mcp.server.auth.settings import AuthSettings
from mcp.server.lowlevel import Server
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from tests.upstream.dispatch.sdk_servers import Probe, mcp_server, serving_at, sse_app

METADATA = "/.well-known/oauth-authorization-server"
RESOURCE = "/.well-known/oauth-protected-resource/mcp"
RESOURCE_OF_SSE = "/.well-known/oauth-protected-resource/sse"


@dataclass(slots=True)
class LoginServer:
    """What a test sees of the authorization server, and how it tells it to be.

    `forms` are the requests to the token endpoint, in order; `asked` is set at each. `metadata`, `registers` and
    `gives` are laid over what is published, answered to registrations, and given as tokens; None takes a published
    field away. `iss` is sent with answers to the browser. `gate` holds the token endpoint while it is closed.
    """

    url: str
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    pages: list[dict[str, str]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    lasts_s: int | None = 3600
    refreshes: bool = True
    iss: str | None = None
    deny: str | None = None
    registers: dict[str, Any] | int = field(default_factory=dict)
    gives: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    gate: anyio.Event | None = None
    asked: anyio.Event = field(default_factory=anyio.Event)
    _access: dict[str, AccessToken] = field(default_factory=dict)
    _refresh: dict[str, dict[str, str]] = field(default_factory=dict)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    # -- what a test does ------------------------------------------------------------------------------------------

    def know(self, id: str, secret: str | None = None, redirect_uri: str | None = None) -> None:
        """Register a client by hand."""
        self.clients[id] = {"client_secret": secret, "redirect_uris": [redirect_uri] if redirect_uri else []}

    async def until_asked(self, times: int) -> None:
        """Wait until the token endpoint has been asked so often."""
        while len(self.forms) < times:
            self.asked = anyio.Event()
            await self.asked.wait()

    def revoke(self) -> None:
        """Take every token back, refresh tokens too."""
        self._refresh.clear()
        self.revoke_access()

    def revoke_access(self) -> None:
        self._access.clear()

    def code(self, page: Mapping[str, str]) -> str:
        """A code as a person's approval of the page gives it."""
        code = secrets.token_urlsafe(16)
        self._codes[code] = dict(page)
        return code

    @property
    def grants(self) -> list[str]:
        return [form["grant_type"] for form in self.forms]

    @property
    def secrets(self) -> list[str]:
        """Everything that must not be seen anywhere."""
        clients = [client["client_secret"] for client in self.clients.values() if client.get("client_secret")]
        sent = [
            form[name] for form in self.forms for name in ("code", "code_verifier", "refresh_token") if name in form
        ]
        return [*self._access, *self._refresh, *clients, *sent]

    async def verify_token(self, token: str) -> AccessToken | None:
        """The SDK's `TokenVerifier`."""
        return self._access.get(token)

    # -- what it answers -------------------------------------------------------------------------------------------

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(METADATA, self._publish),
                Route("/register", self._register, methods=["POST"]),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    async def _publish(self, request: Request) -> Response:
        published = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            **self.metadata,
        }
        return JSONResponse({name: value for name, value in published.items() if value is not None})

    async def _register(self, request: Request) -> Response:
        wish = await request.json()
        if isinstance(self.registers, int):
            return self._no("invalid_redirect_uri", self.registers)
        id = f"registered-{len(self.clients)}"
        self.clients[id] = wish
        return JSONResponse({**wish, "client_id": id, **self.registers}, status_code=201)

    async def _authorize(self, request: Request) -> Response:
        page = dict(request.query_params)
        self.pages.append(page)
        client = self.clients.get(page.get("client_id", ""))
        if client is None or page["redirect_uri"] not in client["redirect_uris"]:
            return Response("no such client", status_code=400)
        answer = {"error": self.deny} if self.deny else {"code": self.code(page)}
        iss = {"iss": self.iss or self.url} if self.iss != "" else {}
        return RedirectResponse(f"{page['redirect_uri']}?{urlencode({**answer, **iss, 'state': page['state']})}")

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append(form)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.status != 200:
            return Response("out of order", status_code=self.status)
        client = self._client(request, form)
        if client is None:
            return self._no("invalid_client")
        if form["grant_type"] == "client_credentials":
            return self._give(client, form, refreshes=False)
        if form["grant_type"] == "refresh_token":
            kept = self._refresh.pop(form["refresh_token"], None)
            return self._no("invalid_grant") if kept is None else self._give(client, kept | form)
        page = self._codes.pop(form["code"], None)
        if page is None or page["code_challenge"] != _s256(form["code_verifier"]):
            return self._no("invalid_grant")
        if (page["client_id"], page["redirect_uri"]) != (client, form["redirect_uri"]):
            return self._no("invalid_grant")
        return self._give(client, page)

    def _client(self, request: Request, form: Mapping[str, str]) -> str | None:
        id, secret = form.get("client_id"), form.get("client_secret")
        kind, _, pair = request.headers.get("authorization", "").partition(" ")
        if kind == "Basic":
            id, secret = map(unquote, base64.b64decode(pair).decode().split(":"))
        known = self.clients.get(id or "")
        return id if known is not None and known.get("client_secret") == secret else None

    def _give(self, client: str, asked: Mapping[str, str], *, refreshes: bool = True) -> Response:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        scope = asked.get("scope", "")
        self._access[access] = AccessToken(
            token=access,
            client_id=client,
            scopes=scope.split(),
            resource=asked.get("resource"),
            expires_at=None if self.lasts_s is None else int(time.time()) + self.lasts_s,
        )
        given: dict[str, Any] = {"access_token": access, "token_type": "bearer", "scope": scope}
        if self.lasts_s is not None:
            given["expires_in"] = self.lasts_s
        if refreshes and self.refreshes:
            self._refresh[refresh] = {"resource": asked["resource"], "scope": scope}
            given["refresh_token"] = refresh
        return JSONResponse({**given, **self.gives})

    @staticmethod
    def _no(error: str, status: int = 400) -> Response:
        return JSONResponse({"error": error, "error_description": "a stranger's words"}, status_code=status)


@dataclass(slots=True)
class Guarded:
    """An MCP server that wants a token. `resource` is laid over what it publishes; `requests` are headers it got."""

    url: str
    app: Any
    resource: dict[str, Any] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.requests.append({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
            if scope["path"] == RESOURCE and self.resource:
                await JSONResponse(self.resource)(scope, receive, send)
                return
        await self.app(scope, receive, send)


@asynccontextmanager
async def guarded_sse(issuer: LoginServer) -> AsyncIterator[str]:
    """The same over HTTP+SSE; yields the address of its stream."""

    def make(url: str) -> Starlette:
        metadata = create_protected_resource_routes(AnyHttpUrl(f"{url}/sse"), [AnyHttpUrl(issuer.url)], ["use"])
        guard = RequireAuthMiddleware(sse_app(mcp_server(Probe())), ["use"], AnyHttpUrl(f"{url}{RESOURCE_OF_SSE}"))
        tokens = Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(issuer))
        return Starlette(routes=[*metadata, Mount("/", guard)], middleware=[tokens])

    async with serving_at(make) as url:
        yield f"{url}/sse"


@asynccontextmanager
async def login_server() -> AsyncIterator[LoginServer]:
    made: list[LoginServer] = []

    def make(url: str) -> Starlette:
        made.append(LoginServer(url))
        return made[0].app()

    async with serving_at(make):
        yield made[0]


@asynccontextmanager
async def guarded(issuer: LoginServer, server: Server[Any] | None = None) -> AsyncIterator[Guarded]:
    """This server, or one that lists nothing, at `/mcp`: it takes tokens of this issuer."""
    made: list[Guarded] = []

    def make(url: str) -> Guarded:
        settings = AuthSettings(
            issuer_url=AnyHttpUrl(issuer.url),
            resource_server_url=AnyHttpUrl(f"{url}/mcp"),
            required_scopes=["use"],
            validate_token_resource=True,
        )
        app = (server or mcp_server(Probe())).streamable_http_app(auth=settings, token_verifier=issuer)
        made.append(Guarded(f"{url}/mcp", app))
        return made[0]

    async with serving_at(make):
        yield made[0]


async def approve(page: str) -> httpx2.Response:
    """What a person's browser does with the page of a login: it ends at the callback."""
    async with httpx2.AsyncClient(follow_redirects=True, trust_env=False) as browser:
        return await browser.get(page)


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
