"""What a request is marked with, and what that decides where the SDK tells no more than a tool's name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp_gateway.call import Selection
from mcp_gateway.downstream.door import HTTP, SSE, Door, door_of, scope_served
from starlette.types import Message, Receive, Scope, Send

from tests.downstream.rest.people import AUTH, as_person
from tests.fakes.everything import Everything
from tests.interaction.house import House, house
from tests.interaction.posting import HEADERS, messages

MODERN = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
PREFIX = "io.modelcontextprotocol/"
META = {f"{PREFIX}protocolVersion": "2026-07-28", f"{PREFIX}clientCapabilities": {}}
MISMATCH = -32020


class Regional(Everything):
    """Its `echo` wants an argument in a header, too."""

    def __init__(self) -> None:
        super().__init__()
        region = {"type": "string", "x-mcp-header": "Region"}
        schema = {"type": "object", "properties": {"region": region}}
        self.tools[0] = types.Tool(name="echo", description="The tool echo.", input_schema=schema)


async def called(home: House, tool: str, headers: dict[str, str], address: str = "") -> tuple[int, dict[str, Any]]:
    """Status and error of a call in 2026-07-28 that lacks the header; the name is cut out of the message."""
    params = {"name": tool, "arguments": {"region": "north"}, "_meta": META}
    async with httpx2.AsyncClient(timeout=10) as http:
        response = await http.post(
            f"{home.url}{address}",
            headers=HEADERS | MODERN | {"Mcp-Name": tool} | headers,
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params},
        )
    error: dict[str, Any] = messages(response)[-1]["error"]
    return response.status_code, error | {"message": error["message"].replace(tool, "...")}


async def test_a_header_that_is_missing_does_not_tell_a_hidden_tool_from_an_unknown_one(tmp_path: Path) -> None:
    async with house(tmp_path, everything=Regional(), auth=AUTH) as home:
        seen = await called(home, "up__echo", as_person("asker"))
        hidden = await called(home, "up__echo", as_person("stranger"))
        unknown = await called(home, "up__none", as_person("stranger"))

    assert (seen[0], seen[1]["code"]) == (400, MISMATCH)
    assert hidden == unknown
    assert hidden[1]["data"] == {"code": "unknown_name"}


async def test_nor_does_it_where_a_profile_hides_the_tool(tmp_path: Path) -> None:
    profiles = {"few": {"tools": {"allow": ["nothing*"]}}, "all": {"servers": ["*"]}}
    async with house(tmp_path, everything=Regional(), profiles=profiles, selection=Selection("few")) as home:
        assert (await called(home, "up__echo", {}, "/all"))[1]["code"] == MISMATCH
        for address in ("/few", ""):
            assert await called(home, "up__echo", {}, address) == await called(home, "up__none", {}, address)


@pytest.mark.parametrize("name", [HTTP, SSE])
async def test_a_request_is_marked_while_it_is_served(name: str) -> None:
    served: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served.extend((scope, scope_served()))

    async def receive() -> Message:
        raise AssertionError("nobody reads the body")

    async def send(message: Message) -> None:
        raise AssertionError("nobody answers")

    await Door(app, name)({"type": "http", "path": "/x/messages"}, receive, send)

    assert [door_of(scope) for scope in served] == [name, name]
    assert scope_served() == {}


def test_what_was_not_marked_came_over_streamable_http() -> None:
    assert door_of({"type": "http", "path": "/messages"}) == HTTP
