"""What a name leads to, and what is said where it leads nowhere."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import InvalidParams, RpcError, UnknownName, UpstreamStartFailed
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.security.principal import SCOPES, Grant, Principal
from mcp_gateway.wire import loads

from tests.interaction.house import House, gateway, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


def client(key: str) -> Client:
    return Client(key, revision=LATEST_LEGACY, session=key)


@pytest.mark.parametrize("method", ["tools/call", "prompts/get", "resources/read", "resources/subscribe"])
@pytest.mark.parametrize("value", [None, 7, ["x"], {}])
async def test_a_name_that_is_no_text_is_refused(home: House, method: str, value: object) -> None:
    with pytest.raises(InvalidParams):
        await home.app.gateway.route(Call(method, {"name": value, "uri": value}, client("a")))


@pytest.mark.parametrize("ref", [None, 7, [], {}, {"type": "ref/prompt"}, {"type": "ref/resource", "uri": 7}])
async def test_a_completion_without_a_reference_is_refused(home: House, ref: object) -> None:
    with pytest.raises(InvalidParams):
        await home.app.gateway.route(Call("completion/complete", {"ref": ref}, client("a")))


async def test_an_unknown_name_and_an_upstreams_own_error_are_told_apart(home: House) -> None:
    with pytest.raises(UnknownName):
        await home.app.gateway.route(Call("resources/read", {"uri": "other://x"}, client("a")))
    with pytest.raises(RpcError):
        await home.app.gateway.route(Call("resources/read", {"uri": "test://items/missing"}, client("a")))


async def test_a_tool_of_a_server_that_never_came_up_says_why(tmp_path: Path) -> None:
    servers = {
        "broken": {"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]},
        "off": {"command": sys.executable, "disabled": True},
    }
    async with gateway(tmp_path, {"mcpServers": servers}) as (app, _):
        broken = loads(await app.gateway.route(Call("tools/call", {"name": "broken__x"}, client("a"))))
        off = loads(await app.gateway.route(Call("tools/call", {"name": "off__x"}, client("a"))))
        with pytest.raises(UpstreamStartFailed):
            await app.gateway.route(Call("prompts/get", {"name": "broken__x"}, client("a")))
        with pytest.raises(UnknownName):
            await app.gateway.route(Call("tools/call", {"name": "nobody__x"}, client("a")))

    assert broken["_meta"]["io.mcp-gateway/error"] == {"code": "upstream_start_failed", "server": "broken"}
    assert "exited with code 3" in broken["content"][0]["text"]
    assert off["content"][0]["text"] == "upstream 'off' is disabled: switched off in the configuration"


async def test_waiting_for_a_server_that_starts_counts_against_the_deadline(tmp_path: Path) -> None:
    silent = {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"], "timeout": 0.5}
    async with gateway(tmp_path, {"mcpServers": {"silent": silent}}, settle=False) as (app, _):
        with anyio.fail_after(2.5):  # of the 30 s that the server may take to start
            result = loads(await app.gateway.route(Call("tools/call", {"name": "silent__x"}, client("a"))))

    assert result["_meta"]["io.mcp-gateway/error"] == {"code": "upstream_unavailable", "server": "silent"}


async def test_a_server_that_still_starts_is_not_waited_for_by_whom_it_is_hidden_from(tmp_path: Path) -> None:
    servers = {"slow": {"command": sys.executable, "args": ["-c", "import sys; sys.stdin.read()"]}}
    stranger = replace(client("a"), principal=Principal("key:x", SCOPES, Grant(deny_servers=("slow",))))
    async with gateway(tmp_path, {"mcpServers": servers}, settle=False) as (app, _):
        with anyio.fail_after(5), pytest.raises(UnknownName):
            await app.gateway.route(Call("tools/call", {"name": "slow__x"}, stranger))
