"""What is relayed keeps its bytes, at every door."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp_gateway.wire import Envelope, Raw, decode, fields, loads

from tests.fakes.odd_server import ERRORS, ODD, RESULTS, odd_http
from tests.interaction.house import House, gateway
from tests.interaction.posting import HEADERS, REVISION, opening
from tests.interaction.requirements import shows

DOORS = pytest.mark.parametrize("door", ["stdio", "sse", "http legacy", "http modern"])

OURS = ("resultType", "_meta", "ttlMs", "cacheScope")
"""What a modern result has from the gateway itself, in front of what the server sent."""

PREFIX = "io.modelcontextprotocol/"
MODERN_META = b'{"%b":"2026-07-28","%b":{}}' % (
    f"{PREFIX}protocolVersion".encode(),
    f"{PREFIX}clientCapabilities".encode(),
)


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """A gateway in front of the odd server, which passes through unchanged."""
    with odd_http() as url:
        config = {"mcpServers": {"odd": {"url": url, "type": "http"}}, "expose": {"prefix": "never"}}
        async with gateway(tmp_path, config) as (app, doors):
            yield House.of(app, doors)


async def ask(home: House, door: str, method: str, params: bytes) -> Envelope:
    """The answer to one request whose params are written like that."""
    ways = {"stdio": _over_pipes, "sse": _over_sse, "http legacy": _posted, "http modern": _posted_modern}
    with anyio.fail_after(10):
        return await ways[door](home, method, params)


def _request(id: int, method: str, params: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}' % (id, method.encode(), params)


def _opening() -> bytes:
    return _request(0, "initialize", json.dumps(opening()).encode())


async def _over_pipes(home: House, method: str, params: bytes) -> Envelope:
    async with home.lines() as (lines, write):
        await write(_opening())
        await anext(lines)
        await write(_request(7, method, params))
        async for line in lines:
            if (answer := decode(line)).id == 7:
                return answer
    raise AssertionError("no answer")


async def _over_sse(home: House, method: str, params: bytes) -> Envelope:
    async with httpx2.AsyncClient() as http, http.stream("GET", f"{home.origin}/sse") as stream:
        data = (line.removeprefix("data: ") async for line in stream.aiter_lines() if line.startswith("data: "))
        address = home.origin + await anext(data)
        await http.post(address, headers=HEADERS, content=_opening())
        await anext(data)
        await http.post(address, headers=HEADERS, content=_request(7, method, params))
        async for message in data:
            if (answer := decode(message.encode())).id == 7:
                return answer
    raise AssertionError("no answer")


async def _posted(home: House, method: str, params: bytes) -> Envelope:
    async with httpx2.AsyncClient() as http:
        opened = await http.post(home.url, headers=HEADERS, content=_opening())
        session = {"Mcp-Session-Id": opened.headers["mcp-session-id"], "MCP-Protocol-Version": REVISION}
        return _last(await http.post(home.url, headers=HEADERS | session, content=_request(7, method, params)))


async def _posted_modern(home: House, method: str, params: bytes) -> Envelope:
    headers = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
    if name := loads(params).get("name") or loads(params).get("uri"):
        headers["Mcp-Name"] = name
    enveloped = params.rstrip()[:-1] + b"%b" % (b"," if loads(params) else b"") + b'"_meta":%b}' % MODERN_META
    async with httpx2.AsyncClient() as http:
        return _last(await http.post(home.url, headers=HEADERS | headers, content=_request(7, method, enveloped)))


def _last(response: httpx2.Response) -> Envelope:
    """The answer, as the body or as the last event; bytes, since text has more kinds of line ends than either."""
    if "event-stream" not in response.headers["content-type"]:
        return decode(response.content)
    lines = response.content.splitlines()
    return decode([line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")][-1])


def theirs(result: Raw | bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in fields(result).items() if name not in OURS}


def meta_of(result: Raw | bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in fields(fields(result).get("_meta", b"{}")).items()}


@shows("call-exact")
@DOORS
@pytest.mark.parametrize(
    ("method", "params", "key"),
    [
        ("tools/call", b'{"name":"rich","arguments":{}}', "tools/call rich"),
        ("tools/call", b'{"name":"failing","arguments":{}}', "tools/call failing"),
        ("prompts/get", b'{"name":"greet"}', "prompts/get greet"),
        ("resources/read", b'{"uri":"odd://one"}', "resources/read odd://one"),
        ("vendor.example/dial", b"{}", "vendor.example/dial"),
    ],
)
async def test_every_byte_of_a_result_arrives(home: House, door: str, method: str, params: bytes, key: str) -> None:
    result = (await ask(home, door, method, params)).result

    if door == "http modern":  # an object of the gateway's era around members of the server's
        assert theirs(result) == theirs(RESULTS[key])
        assert meta_of(RESULTS[key]).items() <= meta_of(result).items()
    else:
        assert bytes(result) == RESULTS[key]


@shows("call-exact")
@DOORS
async def test_arguments_are_what_they_were(home: House, door: str) -> None:
    result = (await ask(home, door, "tools/call", b'{"name":"mirror","arguments":%b}' % ODD)).result

    assert bytes(fields(result)["structuredContent"]) == ODD


@shows("call-exact")
@DOORS
async def test_the_params_of_a_vendors_method_are_what_they_were(home: House, door: str) -> None:
    result = (await ask(home, door, "vendor.example/echo", b'{"x":%b}' % ODD)).result

    assert bytes(fields(fields(result)["params"])["x"]) == ODD


@shows("call-exact")
@DOORS
async def test_an_upstreams_error_arrives_with_its_data(home: House, door: str) -> None:
    error = (await ask(home, door, "tools/call", b'{"name":"refusing","arguments":{}}')).error
    expected = ERRORS["tools/call refusing"]

    if door == "http modern":  # the code is one that 2026-07-28 reserves, and means something else there
        assert loads(fields(error)["message"]) == loads(fields(expected)["message"])
    else:
        assert bytes(error) == expected
