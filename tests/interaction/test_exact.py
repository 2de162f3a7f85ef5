"""Results keep what they came with, at every door that can be spoken to in bytes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp_gateway.wire import loads

from tests.fakes.odd_server import CONTENT, ERRORS, META, ODD, RESULTS, odd_http
from tests.interaction.house import House, gateway
from tests.interaction.posting import HEADERS, Session, messages, opening
from tests.interaction.requirements import shows


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway in front of the odd server, which passes through unchanged."""
    with odd_http() as url:
        config = {"mcpServers": {"odd": {"url": url, "type": "http"}}, "expose": {"prefix": "never"}}
        async with gateway(tmp_path, config) as (app, doors):
            yield House.of(app, doors)


async def ask(home: House, door: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request as bytes that were decoded once."""
    with anyio.fail_after(10):
        if door == "http legacy":
            async with Session(home.url) as session:
                return await session.ask(7, method, params)
        if door == "http modern":
            return await _ask_modern(home, method, params)
        async with home.lines() as (lines, write):
            await write(_line({"id": 0, "method": "initialize", "params": opening()}))
            await anext(lines)
            await write(_line({"id": 7, "method": method, "params": params}))
            async for line in lines:
                if (answer := loads(line)).get("id") == 7:
                    return dict(answer)
    raise AssertionError("no answer")


def _line(members: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", **members}).encode()


async def _ask_modern(home: House, method: str, params: dict[str, Any]) -> dict[str, Any]:
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if name := params.get("name") or params.get("uri"):
        headers["Mcp-Name"] = name
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, "_meta": meta}}
    async with httpx2.AsyncClient() as http:
        return messages(await http.post(home.url, headers=HEADERS | headers, json=request))[-1]


DOORS = pytest.mark.parametrize("door", ["stdio", "http legacy", "http modern"])
OURS = ("resultType", "_meta", "ttlMs", "cacheScope")
"""What a modern result has from the gateway itself."""


@shows("call-exact")
@DOORS
@pytest.mark.parametrize(
    ("method", "params", "key"),
    [
        ("tools/call", {"name": "rich", "arguments": {}}, "tools/call rich"),
        ("tools/call", {"name": "failing", "arguments": {}}, "tools/call failing"),
        ("prompts/get", {"name": "greet"}, "prompts/get greet"),
        ("resources/read", {"uri": "odd://one"}, "resources/read odd://one"),
        ("vendor.example/dial", {}, "vendor.example/dial"),
    ],
)
async def test_every_member_of_a_result_arrives(
    home: House, door: str, method: str, params: dict[str, Any], key: str
) -> None:
    result = (await ask(home, door, method, params))["result"]
    expected = loads(RESULTS[key])

    assert {name: value for name, value in result.items() if name not in OURS} == {
        name: value for name, value in expected.items() if name not in OURS
    }
    assert expected.get("_meta", {}).items() <= result.get("_meta", {}).items()


@shows("call-exact")
@DOORS
async def test_numbers_and_nulls_are_what_they_were(home: House, door: str) -> None:
    result = (await ask(home, door, "tools/call", {"name": "rich", "arguments": {}}))["result"]
    structured = result["structuredContent"]

    assert repr(structured) == repr(loads(ODD))
    assert result["content"] == loads(CONTENT)
    assert result["_meta"]["vendor.example/trace"] == loads(META)["vendor.example/trace"]


@shows("call-exact")
@DOORS
async def test_arguments_are_what_they_were(home: House, door: str) -> None:
    arguments = loads(ODD)
    result = (await ask(home, door, "tools/call", {"name": "mirror", "arguments": arguments}))["result"]

    assert repr(result["structuredContent"]) == repr(arguments)


@shows("call-exact")
@DOORS
async def test_an_upstreams_error_arrives_with_its_data(home: House, door: str) -> None:
    error = (await ask(home, door, "tools/call", {"name": "refusing", "arguments": {}}))["error"]
    expected = loads(ERRORS["tools/call refusing"])

    assert error["message"] == expected["message"]
    if door != "http modern":
        assert error == expected
