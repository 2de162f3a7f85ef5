"""Servers that want a login, behind the gateway: what goes to them, and what a client sees when they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp_gateway.app import App
from mcp_gateway.upstream.lifecycle import State

from tests.fakes.everything import Everything
from tests.fakes.login_server import Guarded, LoginServer, guarded, login_server
from tests.interaction.asking import until
from tests.interaction.house import Served, gateway
from tests.interaction.posting import Session
from tests.interaction.requirements import shows

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

THEIRS = {
    "Authorization": "Bearer planted",
    "Cookie": "session=planted",
    "Proxy-Authorization": "Basic planted",
    "X-Api-Key": "planted",
    "X-Forwarded-User": "planted",
    "Mcp-Param-Secret": "planted",
    "Last-Event-ID": "planted",
}

OURS = {
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-type",
    "host",
    "mcp-protocol-version",
    "mcp-session-id",
    "traceparent",
    "x-entry",
}
"""What the protocol and the server's entry name."""


@asynccontextmanager
async def behind(folder: Path) -> AsyncIterator[tuple[LoginServer, Guarded, App, Served]]:
    """A gateway in front of a server `files`, where the client of the configuration logs in by itself."""
    async with login_server() as issuer, guarded(issuer, Everything().server()) as server:
        issuer.know("robot", "s3cret")
        auth = {"client_id": "robot", "client_secret": "s3cret", "client_credentials": True}
        entry = {"url": server.url, "auth": auth, "era": "legacy", "headers": {"X-Entry": "ours"}}
        async with gateway(folder, {"mcpServers": {"files": entry}}) as (app, doors):
            yield issuer, server, app, doors


@shows("upstream-credentials")
async def test_r_cred_1_nothing_of_a_clients_headers_goes_to_a_server(tmp_path: Path) -> None:
    """R-CRED-1."""
    async with behind(tmp_path) as (_, server, app, doors), Session(f"{doors.origin}/mcp") as session:
        assert [agent.state for agent in app.upstreams.agents] == [State.READY]
        server.requests.clear()
        session.headers |= THEIRS
        answer = await session.ask(1, "tools/call", {"name": "files__echo", "arguments": {"text": "hi"}})
    assert answer["result"]["isError"] is False
    assert server.requests
    for request in server.requests:
        assert request.keys() <= OURS
        assert not any("planted" in value for value in request.values())


@shows("upstream-login")
async def test_a_login_that_is_taken_back_parks_the_server_with_what_to_do(tmp_path: Path) -> None:
    async with behind(tmp_path) as (issuer, _, app, doors), Session(f"{doors.origin}/mcp") as session:
        issuer.clients.clear()
        issuer.revoke()
        agent = app.upstreams.agent("files")
        agent.reconnect()
        await until(lambda: agent.state is State.NEEDS_AUTH)
        answer = await session.ask(1, "tools/call", {"name": "files__echo", "arguments": {"text": "hi"}})
    said = answer["result"]["content"][0]["text"]
    assert "does not accept the client of the configuration (invalid_client)" in said
    assert answer["result"]["_meta"]["io.mcp-gateway/error"] == {"code": "upstream_auth", "server": "files"}
