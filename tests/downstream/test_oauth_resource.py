"""The gateway as a resource server: tokens become principals, and clients learn where to get one."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx2
import pytest
from mcp.shared.auth import ProtectedResourceMetadata
from mcp_gateway.downstream.issuer import Issuer
from mcp_gateway.downstream.oauth_resource import METADATA_PATHS, JwtVerifier, ProtectedResource
from mcp_gateway.errors import Unauthorized
from mcp_gateway.security import REFUSED
from mcp_gateway.security.jwt import TokenRules
from mcp_gateway.security.principal import Principal
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from tests.fakes.authorization_server import AUDIENCE, ISSUER, AuthorizationServer, authorization_server, token

RULES = TokenRules(ISSUER, AUDIENCE, {"tools.see": "read", "tools.use": "call"})


@pytest.fixture
async def server() -> AsyncIterator[AuthorizationServer]:
    async with authorization_server("ec") as running:
        yield running


@pytest.fixture
def verifier(server: AuthorizationServer) -> JwtVerifier:
    return JwtVerifier(RULES, Issuer(ISSUER, server.jwks_url))


async def test_a_token_becomes_a_principal(verifier: JwtVerifier) -> None:
    principal = await verifier.principal(token("ec", "ES256", scope="tools.see openid"))

    assert principal == Principal("oauth:ada", frozenset({"read"}))


@pytest.mark.parametrize(
    "text",
    ["nonsense", token("ec2", "ES256"), token("ec2", "ES256", {"kid": "ec"}), token("ec", "ES256", exp=1)],
    ids=["no token", "unknown key", "another key", "expired"],
)
async def test_every_fault_is_refused_in_the_same_words(
    verifier: JwtVerifier, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(Unauthorized) as refused:
        await verifier.principal(text)

    assert refused.value.message == REFUSED
    assert "token.refused" in caplog.text
    assert text.split(".")[-1] not in caplog.text


async def test_what_is_no_token_asks_the_issuer_nothing(verifier: JwtVerifier, server: AuthorizationServer) -> None:
    for text in ("nonsense", token("rsa", "RS384"), token("ec", "ES256", {"typ": "logout+jwt"})):
        with pytest.raises(Unauthorized):
            await verifier.principal(text)

    assert server.paths == []


async def test_an_issuer_that_is_down_is_a_refusal(verifier: JwtVerifier, server: AuthorizationServer) -> None:
    server.bodies["/keys"] = 500

    with pytest.raises(Unauthorized):
        await verifier.principal(token("ec", "ES256"))


def connection(scheme: str = "https", host: str = "gate.example") -> HTTPConnection:
    return HTTPConnection(
        {
            "type": "websocket" if scheme.startswith("ws") else "http",
            "scheme": scheme,
            "path": "/base/mcp",
            "query_string": b"q=1",
            "server": ("127.0.0.1", 8765),
            "headers": [(b"host", host.encode())],
        }
    )


@pytest.mark.parametrize(
    ("scheme", "origin"),
    [("https", "https://gate.example"), ("wss", "https://gate.example"), ("ws", "http://gate.example")],
)
def test_a_client_without_a_token_is_told_where_to_ask(scheme: str, origin: str) -> None:
    told = ProtectedResource(RULES, "/base").challenge(connection(scheme))

    assert told == f'Bearer resource_metadata="{origin}/base/.well-known/oauth-protected-resource/mcp"'


def test_a_client_with_too_little_is_told_what_to_ask_for() -> None:
    told = ProtectedResource(RULES).challenge(connection(), error="insufficient_scope", scope="call")

    assert told.startswith('Bearer error="insufficient_scope", scope="tools.use", resource_metadata="https://')


def test_a_host_cannot_end_the_quotes() -> None:
    told = ProtectedResource(RULES).challenge(connection(host='x", scope="admin'))

    assert told.count('"') == 2


@pytest.mark.parametrize("path", METADATA_PATHS)
async def test_the_metadata_says_what_clients_need(path: str) -> None:
    answer = await fetched(ProtectedResource(RULES), path)

    assert answer.json() == {
        "resource": AUDIENCE,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["tools.see", "tools.use"],
        "bearer_methods_supported": ["header"],
        "resource_name": "mcp-gateway",
    }
    assert "access-control-allow-origin" not in answer.headers
    assert str(ProtectedResourceMetadata.model_validate_json(answer.content).authorization_servers[0]) == ISSUER


async def test_where_the_audience_is_a_name_the_resource_is_where_the_client_came() -> None:
    rules = TokenRules(ISSUER, "api://gateway")

    answer = await fetched(ProtectedResource(rules, "/base"), METADATA_PATHS[0])

    assert answer.json()["resource"] == "https://gate.example/base/mcp"
    assert answer.json()["scopes_supported"] == ["admin", "ask", "call", "execute", "read"]


async def fetched(resource: ProtectedResource, path: str) -> httpx2.Response:
    app = Starlette(routes=resource.routes())
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://gate.example") as client:
        return await client.get(path)
