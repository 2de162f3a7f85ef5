"""The tools of search mode by themselves: what their descriptions say, and the call that is taken out of one."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.builtin import MCPFunctions, Services
from mcp_gateway.builtin.finder import FINDERS, SURFACE, finders, reads_only, surface, unwrap
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import WHOLE, Catalog
from mcp_gateway.catalog.names import RESERVED
from mcp_gateway.errors import InvalidParams
from mcp_gateway.wire import Raw, encode

from tests.builtin.calls import call
from tests.catalog.offers import offer, tool

RUNNING = MCPFunctions(finders(Services())).definitions


def held(params: dict[str, Any], method: str = "tools/call") -> Call:
    return Call(method, params, Client("test"))


def test_no_server_can_take_their_names() -> None:
    assert SURFACE <= RESERVED
    assert [tool["name"] for tool in RUNNING] == ["search_tools", "describe_tools"]
    assert {tool["name"] for tool in RUNNING} == FINDERS


@pytest.mark.parametrize("servers", [1, 30, 1000])
def test_descriptions_name_servers_within_two_kilobytes(servers: int) -> None:
    catalog = Catalog.build([offer(f"a server called {n:04}", tools=["x", "y"]) for n in range(servers)])
    shown = [each["description"] for each in surface(RUNNING, catalog, WHOLE)]

    assert len(shown) == 4
    assert all(len(text.encode()) <= 2000 for text in shown)
    assert all(f"{2 * servers} tools of {servers} servers: a server called 0000 (2)" in text for text in shown)
    assert ("more." in shown[0]) == (servers == 1000)


def test_an_empty_gateway_says_so() -> None:
    assert all("no tools just now" in each["description"] for each in surface(RUNNING, Catalog.build(()), WHOLE))


def test_a_held_call_takes_the_place_of_its_holder_and_keeps_its_bytes() -> None:
    request = held(
        {
            "name": Raw(b'"call_tool"'),
            "arguments": Raw(b'{"name":"a__x","arguments":{"big":1.0e2}}'),
            "_meta": {"progressToken": 1},
            "requestState": "s",
        }
    )

    assert unwrap(request) == "call_tool"
    assert encode(request.params) == (
        b'{"name":"a__x","arguments":{"big":1.0e2},"_meta":{"progressToken":1},"requestState":"s"}'
    )


def test_arguments_may_be_left_out() -> None:
    request = held({"name": "read_tool", "arguments": {"name": "a__x"}})
    assert unwrap(request) == "read_tool"
    assert request.params == {"name": "a__x", "arguments": {}}


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "a__x"}),
        ("tools/call", {"name": ["call_tool"]}),
        ("tools/call", {}),
        ("prompts/get", {"name": "call_tool"}),
    ],
)
def test_other_requests_are_left_alone(method: str, params: dict[str, Any]) -> None:
    request = held(dict(params), method)
    assert unwrap(request) is None
    assert request.params == params


def test_a_tool_that_says_nothing_does_not_read_only() -> None:
    hints = [None, {}, {"readOnlyHint": False}, {"readOnlyHint": "yes"}, {"readOnlyHint": True}]
    tools = [tool(f"t{n}", **({} if hint is None else {"annotations": hint})) for n, hint in enumerate(hints)]
    catalog = Catalog.build([offer("s", tools=tools)])
    assert [reads_only(catalog, f"s__t{n}") for n in range(len(hints))] == [False, False, False, False, True]
    assert not reads_only(catalog, "s__none")


@pytest.mark.parametrize(
    "arguments", [{}, {"query": "a", "queries": ["b"]}, {"query": " "}, {"query": "a", "limit": 21}]
)
async def test_a_search_for_nothing_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams):
        await call(finders(Services())[0], arguments)


async def test_a_search_that_finds_nothing_says_so() -> None:
    found = await call(finders(Services())[0], {"query": "anything"})
    assert found["structuredContent"] == {"results": []}
    assert "No tool fits" in found["content"][0]["text"]
