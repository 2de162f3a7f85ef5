"""What headers say about a request and what its body says must agree; the body alone decides (R-HDR-1)."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_types import Tool
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.fakes.everything import Everything
from tests.fakes.everything import http_app as everything_app
from tests.interaction.house import House, gateway, house, served
from tests.interaction.posting import HEADERS, Session
from tests.interaction.requirements import shows

MODERN = "2026-07-28"
PREFIX = "io.modelcontextprotocol/"
RIGHT = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "up__count"}

MISMATCH = -32020
UNSUPPORTED = -32022
INVALID = -32602


def encoded(text: str) -> str:
    """SEP-2243: what a header cannot hold as it is."""
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="


def body(method: str = "tools/call", version: Any = MODERN, **params: Any) -> dict[str, Any]:
    meta = {f"{PREFIX}protocolVersion": version, f"{PREFIX}clientCapabilities": {}}
    if method == "tools/call":
        params = {"name": "up__count", "arguments": {}}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": meta}}


CALL = body()
PROMPT = body("prompts/get", name="up__greet")
READ = body("resources/read", uri="test://static")

AGREEING = {
    "all as in the body": (RIGHT, CALL),
    "names of fields in any case": ({name.upper(): text for name, text in RIGHT.items()}, CALL),
    "a name in base64": (RIGHT | {"Mcp-Name": encoded("up__count")}, CALL),
    "a name where none is needed": (RIGHT | {"Mcp-Method": "tools/list"}, body("tools/list", cursor=None)),
}

DIFFERING: dict[str, tuple[dict[str, str | None], dict[str, Any], int]] = {
    "another revision": ({"MCP-Protocol-Version": "2025-11-25"}, CALL, MISMATCH),
    "no revision": ({"MCP-Protocol-Version": None}, CALL, MISMATCH),
    "an empty revision": ({"MCP-Protocol-Version": ""}, CALL, MISMATCH),
    "a revision that is none": ({"MCP-Protocol-Version": "banana"}, CALL, MISMATCH),
    "another revision in the body": ({}, body(version="2025-11-25"), MISMATCH),
    "a revision of the future in both": (
        {"MCP-Protocol-Version": "2099-01-01"},
        body(version="2099-01-01"),
        UNSUPPORTED,
    ),
    "a number for a revision": ({}, body(version=20260728), MISMATCH),
    "another method": ({"Mcp-Method": "tools/list"}, CALL, MISMATCH),
    "no method": ({"Mcp-Method": None}, CALL, MISMATCH),
    "the method in capitals": ({"Mcp-Method": "TOOLS/CALL"}, CALL, MISMATCH),
    "the method in base64": ({"Mcp-Method": encoded("tools/list")}, CALL, MISMATCH),
    "another name": ({"Mcp-Name": "up__fail"}, CALL, MISMATCH),
    "no name": ({"Mcp-Name": None}, CALL, MISMATCH),
    "the upstream's own name": ({"Mcp-Name": "count"}, CALL, MISMATCH),
    "another name in base64": ({"Mcp-Name": encoded("up__fail")}, CALL, MISMATCH),
    "base64 that is none": ({"Mcp-Name": "=?base64?%%%?="}, CALL, MISMATCH),
    "another prompt": ({"Mcp-Method": "prompts/get", "Mcp-Name": "up__other"}, PROMPT, MISMATCH),
    "another resource": ({"Mcp-Method": "resources/read", "Mcp-Name": "test://other"}, READ, MISMATCH),
    "no meta in the body": ({}, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}, INVALID),
}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, era="modern") as running:
        yield running


async def posted(home: House, headers: dict[str, str | None] | dict[str, str], json: Any) -> httpx2.Response:
    kept = {name: text for name, text in {**HEADERS, **headers}.items() if text is not None}
    async with httpx2.AsyncClient(timeout=10) as http:
        return await http.post(home.url, headers=kept, json=json)


@shows("headers-agree")
async def test_r_hdr_1_headers_that_agree_with_the_body_pass(home: House) -> None:
    for row, (headers, json) in AGREEING.items():
        response = await posted(home, headers, json)
        assert response.status_code == 200, (row, response.text)
        assert "error" not in response.text, row


@shows("headers-agree")
async def test_r_hdr_1_headers_that_differ_from_the_body_are_refused_and_nothing_is_called(home: House) -> None:
    for row, (headers, json, code) in DIFFERING.items():
        response = await posted(home, {**RIGHT, **headers}, json)
        assert response.status_code == 400, (row, response.text)
        assert response.json()["error"]["code"] == code, (row, response.text)
    assert home.everything.calls == 0


@pytest.mark.parametrize("field", RIGHT)
@shows("headers-agree")
async def test_r_hdr_1_a_header_twice_is_refused(home: House, field: str) -> None:
    twice = [*HEADERS.items(), *RIGHT.items(), (field, RIGHT[field])]
    async with httpx2.AsyncClient(timeout=10) as http:
        response = await http.post(home.url, headers=twice, json=CALL)

    assert response.status_code == 400
    assert response.json()["error"]["code"] == MISMATCH


@pytest.mark.parametrize("version", ["2099-01-01", "banana", "1"])
@shows("headers-agree")
async def test_r_hdr_1_a_session_that_names_a_revision_there_is_not_is_refused(home: House, version: str) -> None:
    async with Session(home.url) as session:
        session.headers["MCP-Protocol-Version"] = version
        response = await session.post({"jsonrpc": "2.0", "id": "mine", "method": "ping"})

    assert response.status_code == 400
    assert response.json()["id"] in ("mine", "server-error", None)


MIRRORED: dict[str, tuple[dict[str, str], dict[str, Any], int]] = {
    "as in the body": ({"Mcp-Param-City": "Ulm", "Mcp-Param-Zone": "2"}, {"city": "Ulm", "at": {"zone": 2}}, 200),
    "in base64": ({"Mcp-Param-City": encoded("Köln")}, {"city": "Köln"}, 200),
    "none where there is no argument": ({}, {}, 200),
    "missing": ({}, {"city": "Ulm"}, 400),
    "another value": ({"Mcp-Param-City": "Bonn"}, {"city": "Ulm"}, 400),
    "an inner argument's missing": ({"Mcp-Param-City": "Ulm"}, {"city": "Ulm", "at": {"zone": 2}}, 400),
}


@shows("headers-agree")
async def test_r_hdr_1_arguments_that_are_repeated_as_headers_must_agree_too(tmp_path: Path) -> None:
    everything = Everything()
    zone = {"type": "object", "properties": {"zone": {"type": "integer", "x-mcp-header": "Zone"}}}
    schema = {"type": "object", "properties": {"city": {"type": "string", "x-mcp-header": "City"}, "at": zone}}
    everything.tools = [Tool(name="echo", input_schema=schema)]
    async with house(tmp_path, era="modern", everything=everything) as home:
        for row, (headers, arguments, status) in MIRRORED.items():
            call = body("tools/call")
            call["params"] |= {"name": "up__echo", "arguments": arguments}
            response = await posted(home, {**RIGHT, "Mcp-Name": "up__echo", **headers}, call)
            assert response.status_code == status, (row, response.text)
            assert response.json().get("error", {}).get("code") == {200: None, 400: MISMATCH}[status], row

    assert everything.calls == 3


class Recorder:
    """The upstream of a gateway, and every header that it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.fields: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.fields += scope.get("headers", [])
        await self._app(scope, receive, send)


BREAKING = [
    "a\r\nX-Evil: 1",
    "a\nX-Evil: 1",
    "a\r\n\r\nGET /x HTTP/1.1",
    "a\x00b",
    "a\rb",
    "ä☃\x85\u2028",
    " a ",
    "=?base64?x?=",
]


@shows("headers-agree")
async def test_r_hdr_1_nothing_that_a_caller_names_breaks_the_headers_to_the_upstream(tmp_path: Path) -> None:
    upstream = Recorder(everything_app(Everything().server()))
    async with served(upstream) as far:
        entry = {"url": f"{far.origin}/mcp", "type": "http", "era": "modern"}
        async with (
            gateway(tmp_path, {"mcpServers": {"up": entry}}) as (_, doors),
            Session(f"{doors.origin}/mcp") as session,
        ):
            before = len(upstream.fields)
            for id, text in enumerate(BREAKING, start=1):
                await session.ask(id, "resources/read", {"uri": f"test://items/{text}"})
                await session.ask(id, f"vendor/{text}")
            await session.ask(99, "resources/read", {"uri": "test://items/plain"})

    names = {name for name, _ in upstream.fields}
    assert len(upstream.fields) > before
    assert b"x-evil" not in names
    assert not [value for _, value in upstream.fields if any(char in value for char in b"\r\n\x00")]
