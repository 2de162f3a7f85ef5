"""The HTTP doors in bytes: what is refused, how, and that the next request is served."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx2
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp_gateway.downstream.http import HttpRules, http_app

from tests.interaction.asking import until
from tests.interaction.house import Door, House, house, served
from tests.interaction.posting import HEADERS, Session, messages, opening

PATHS = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/v1/servers"),
    ("GET", "/api/v1/status"),
    ("POST", "/api/v1/tools/up__echo/call"),
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("GET", "/sse"),
    ("POST", "/messages/?session_id=00000000000000000000000000000000"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize(("verb", "path"), PATHS)
@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
async def test_r_origin_1_a_foreign_host_or_origin_is_refused_everywhere(
    http: httpx2.AsyncClient, verb: str, path: str, header: dict[str, str]
) -> None:
    response = await http.request(verb, path, headers=header)

    assert response.status_code == 403
    assert response.json()["details"] == {"code": "forbidden"}


BAD = [
    b"",
    b"hello",
    b"\x00\x00",
    b"\xff\xfe",
    b"null",
    b"true",
    b"1",
    b'"x"',
    b"{}",
    b"[]",
    b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    b"[" + b'{"jsonrpc":"2.0","id":1,"method":"ping"},' * 2000 + b"1]",
    b'{"jsonrpc":"2.0","id":{},"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":7}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{"n":NaN}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"s":"\\udc00"}}',
    b"[" * 50_000,
    b'{"a":' * 50_000,
    b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"ping"}',
]


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
async def test_r_parse_1_a_malformed_body_is_a_4xx_and_the_session_goes_on(
    home: House, body: bytes, revision: str
) -> None:
    async with Session(home.url) as session:
        version = {"MCP-Protocol-Version": revision}
        response = await session.http.post(home.url, headers=session.headers | version, content=body)
        alive = await session.ask(2, "ping")

    assert 400 <= response.status_code < 500
    assert response.json()["error"]["code"] in (-32700, -32600)
    assert alive == {"jsonrpc": "2.0", "id": 2, "result": {}}


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
async def test_a_malformed_body_at_the_messages_door_is_a_4xx(http: httpx2.AsyncClient, body: bytes) -> None:
    response = await http.post("/messages/?session_id=00000000000000000000000000000000", content=body)

    assert 400 <= response.status_code < 500


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=0", "/api/v1/tools/up__echo/call"])
async def test_r_parse_1_a_body_above_the_limit_is_413(tmp_path: Path, path: str) -> None:
    async with (
        house(tmp_path, limits={"max_body": "64KiB"}) as home,
        httpx2.AsyncClient(base_url=home.origin) as http,
    ):
        declared = await http.post(path, headers=HEADERS, content=b" " * 70_000)
        streamed = await http.post(path, headers=HEADERS, content=_pieces())

    assert (declared.status_code, streamed.status_code) == (413, 413)


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(20):
        yield b" " * 8192


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=0"])
async def test_r_zip_1_a_compressed_body_is_refused(http: httpx2.AsyncClient, path: str) -> None:
    response = await http.post(path, headers=HEADERS | {"Content-Encoding": "gzip"}, content=b"\x1f\x8b")

    assert response.status_code == 415


@pytest.mark.parametrize("verb", ["POST", "GET", "DELETE"])
async def test_a_made_up_session_is_404(http: httpx2.AsyncClient, verb: str) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) if verb == "POST" else None
    response = await http.request(verb, "/mcp", headers=HEADERS | {"Mcp-Session-Id": "f" * 32}, content=body)

    assert response.status_code == 404


async def test_a_session_that_was_deleted_is_gone(home: House) -> None:
    async with Session(home.url) as session:
        await session.ask(1, "ping")
        deleted = await session.http.delete(home.url, headers=session.headers)
        after = await session.post({"jsonrpc": "2.0", "id": 1, "method": "ping"})
        await until(lambda: not len(home.app.sessions))

    assert (deleted.status_code, after.status_code) == (200, 404)


async def test_an_unknown_revision_is_told_which_there_are(http: httpx2.AsyncClient) -> None:
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2099-01-01", f"{prefix}clientCapabilities": {}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = HEADERS | {"MCP-Protocol-Version": "2099-01-01", "Mcp-Method": "tools/list"}
    response = await http.post("/mcp", headers=headers, json=request)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32022
    assert "2026-07-28" in response.json()["error"]["data"]["supported"]


@pytest.mark.parametrize(
    ("header", "value"), [("Mcp-Method", "tools/list"), ("Mcp-Name", "up__fail"), ("Mcp-Method", None)]
)
async def test_headers_that_differ_from_the_body_are_refused(
    http: httpx2.AsyncClient, header: str, value: str | None
) -> None:
    prefix = "io.modelcontextprotocol/"
    meta = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    params = {"name": "up__echo", "arguments": {}, "_meta": meta}
    right = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "up__echo"}
    headers = {name: text for name, text in (HEADERS | right | {header: value}).items() if text is not None}
    response = await http.post(
        "/mcp", headers=headers, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    )

    assert response.status_code == 400
    assert response.json()["error"]["code"] == -32020


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/oauth-authorization-server",
        "/.well-known/openid-configuration/mcp",
        "/nothing",
    ],
)
async def test_discovery_of_a_login_there_is_none_is_a_quick_404(http: httpx2.AsyncClient, path: str) -> None:
    with anyio.fail_after(2):
        response = await http.get(path, headers={"mcp-protocol-version": "2024-11-05"})

    assert response.status_code == 404
    assert response.json()["details"] == {"code": "not_found"}


async def test_a_get_without_a_session_is_a_quick_4xx(http: httpx2.AsyncClient) -> None:
    with anyio.fail_after(2):
        response = await http.get("/mcp", headers={"mcp-protocol-version": "2024-11-05"})

    assert 400 <= response.status_code < 500


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_a_probe_without_a_session_is_405(http: httpx2.AsyncClient, verb: str) -> None:
    answer = await http.request(verb, "/mcp", headers={"accept": "text/event-stream"})

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["details"] == {"code": "method_not_allowed"}


async def test_a_verb_a_door_does_not_have_is_405(http: httpx2.AsyncClient) -> None:
    response = await http.put("/mcp")

    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert response.json()["error"].startswith("method not allowed; use DELETE, GET")
    assert response.json()["details"] == {"code": "method_not_allowed"}


@pytest.mark.slow
async def test_an_idle_stream_is_kept_alive_by_comments(home: House) -> None:
    async with Session(home.url) as session, session.http.stream("GET", home.url, headers=session.headers) as stream:
        with anyio.fail_after(20):
            lines = stream.aiter_lines()
            while not (await anext(lines)).startswith(":"):
                pass


async def test_every_door_may_stand_below_a_path(home: House) -> None:
    rules = HttpRules(base_path="/below")
    app = http_app(home.app.gateway, home.app.endpoint, rules, home.app.process, home.app.access)
    async with served(app) as doors, httpx2.AsyncClient(base_url=doors.origin) as http:
        assert (await http.get("/below/healthz")).status_code == 200
        assert (await http.get("/healthz")).status_code == 404
        async with Client(f"{doors.origin}/below/mcp") as client:
            assert (await client.list_tools()).tools
        async with Client(sse_client(f"{doors.origin}/below/sse"), mode="legacy") as client:
            assert (await client.call_tool("up__echo", {"text": "x"})).structured_content
            (session,) = home.app.sessions.clients
            assert session.door == "sse"


async def test_a_client_that_does_not_read_holds_up_nobody(home: House) -> None:
    host, port = home.origin.removeprefix("http://").split(":")
    async with Session(home.url) as session:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).encode()
        headers = "".join(f"{name}: {value}\r\n" for name, value in session.headers.items())
        request = f"POST /mcp HTTP/1.1\r\nHost: {host}:{port}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode()
        async with await anyio.connect_tcp(host, int(port)) as deaf:
            for _ in range(50):
                await deaf.send(request + body)
            async with home.client(Door.HTTP_MODERN) as client:
                with anyio.fail_after(3):
                    assert (await client.call_tool("up__echo", {"text": "x"})).structured_content


async def test_initialize_answers_in_json_or_as_events(http: httpx2.AsyncClient) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening()}
    response = await http.post("/mcp", headers=HEADERS, json=request)

    assert messages(response)[0]["id"] == 1
    assert response.headers["mcp-session-id"]
