"""Requirements that no room can show alone, at the doors of a whole gateway."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_gateway.downstream.rest import document
from mcp_gateway.security.keys import hashed, new_key

from tests.cli.command import run
from tests.gateway import write_config
from tests.interaction.house import FEW_BUILTINS, house
from tests.interaction.posting import HEADERS, Session, opening

ONE, OTHER = new_key(), new_key()
AUTH = {"keys": [{"name": "one", "hash": hashed(ONE)}, {"name": "other", "hash": hashed(OTHER)}]}

METHODS = ("initialize", "tools/list", "tools/call", "server/discover", "servers/add", "resources/read", "prompts/get")


async def test_r_stdio_1_no_request_starts_a_program(tmp_path: Path) -> None:
    """Every operation of REST, and messages of MCP, with a command line wherever one could be looked for."""
    made = tmp_path / "made by a program"
    program: dict[str, Any] = {
        "type": "stdio",
        "command": "/bin/sh",
        "args": ["-c", f"touch '{made}'"],
        "env": {"A": "1"},
    }
    body = {**program, "server": program, "mcpServers": {"new": program}, "arguments": program}
    async with house(tmp_path) as home, httpx2.AsyncClient(base_url=home.origin, timeout=20) as http:
        for path, operations in document()["paths"].items():
            for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
                target = path.replace("{name}", "up__echo" if "tools" in path else "up")
                await http.request(method, target, json=body)
        for method in METHODS:
            await http.post("/mcp", headers=HEADERS, json={"jsonrpc": "2.0", "id": 1, "method": method, "params": body})
        async with Session(home.url) as session:
            for number, method in enumerate(METHODS, 1):
                await session.ask(number, method, {**opening(), "name": "up__echo", "uri": "x://y", **body})
        assert home.app.upstreams.names == ("up",)

    assert not made.exists()


async def test_r_sess_1_a_session_of_the_sse_door_is_its_keys_alone(tmp_path: Path) -> None:
    async with (
        house(tmp_path, auth=AUTH) as home,
        httpx2.AsyncClient(base_url=home.origin, timeout=20) as http,
        http.stream("GET", "/sse", headers={"X-API-Key": ONE}) as stream,
    ):
        lines = stream.aiter_lines()
        while not (line := await anext(lines)).startswith("data: "):
            pass
        endpoint, ping = line.removeprefix("data: "), {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        stolen = await http.post(endpoint, headers={"X-API-Key": OTHER}, json=ping)
        own = await http.post(endpoint, headers={"X-API-Key": ONE}, json=ping)

    assert (stolen.status_code, own.status_code) == (404, 202)


@pytest.mark.parametrize("command", [["npx", "-y", "some-server"], ["uvx", "some-server"]])
def test_r_sup_1_what_is_not_pinned_is_refused_where_the_file_asks_for_it(tmp_path: Path, command: list[str]) -> None:
    servers = {"loose": {"command": command[0], "args": command[1:]}}
    config = {"mcpServers": servers, "security": {"require_pinned": True}, "tools": FEW_BUILTINS}
    write_config(tmp_path, config)

    done = run(tmp_path, "--json", "list", "servers")

    (server,) = json.loads(done.out)["servers"]
    assert server["state"] == "disabled"
    assert "require_pinned" in server["reason"]
