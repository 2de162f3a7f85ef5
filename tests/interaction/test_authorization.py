"""Each rule about a key holds at every door, and whichever tool stands between (R-AUTH-1, R-AUTH-2)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_gateway.security.keys import hashed, new_key

from tests.interaction.house import Door, House, house, sse
from tests.interaction.requirements import shows
from tests.interaction.sockets import Socket, code_of, socket
from tests.interaction.test_announcements import Ear

KEYS = {name: new_key() for name in ("all", "few", "look", "bound", "other")}
GRANTS: dict[str, dict[str, Any]] = {
    "all": {"scopes": ["read", "call", "ask", "execute", "admin"]},
    "few": {"tools": {"allow": ["up__*", "search", "sysinfo"], "deny": ["up__fail"]}},
    "look": {"scopes": ["read"]},
    "bound": {"profile": "half"},
    "other": {"servers": {"allow": ["elsewhere"]}},
}
CONFIG: dict[str, Any] = {
    "auth": {"keys": [{"name": name, "hash": hashed(KEYS[name]), **GRANTS[name]} for name in KEYS]},
    "profiles": {"half": {"tools": {"allow": ["up__echo"]}}},
    "tools": {name: {"enabled": False} for name in ("execute", "analyze_code")},
}
WAYS = ("http-legacy", "http-modern", "sse", "rest")
CALLING_WAYS = (*WAYS, "websocket")

CALLS = [
    # key, tool, whether it may be called
    ("all", "up__echo", True),
    ("all", "sysinfo", True),
    ("few", "up__echo", True),
    ("few", "sysinfo", True),
    ("few", "up__fail", False),
    ("few", "ask", False),
    ("look", "up__echo", False),
    ("look", "sysinfo", False),
    ("bound", "up__echo", True),
    ("bound", "up__wait", False),
    ("bound", "sysinfo", False),
    ("other", "up__echo", False),
    ("other", "sysinfo", True),
]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, **CONFIG) as running:
        yield running


class Way:
    """One way in, with one key."""

    def __init__(
        self, listed: Callable[[], Awaitable[set[str]]], call: Callable[[str, dict[str, Any]], Awaitable[Any]]
    ):
        self.listed = listed
        self.call = call


@asynccontextmanager
async def coming(home: House, way: str, key: str) -> AsyncIterator[Way]:
    headers = {"Authorization": f"Bearer {KEYS[key]}"}
    async with httpx2.AsyncClient(base_url=home.origin, headers=headers, timeout=20) as http:
        if way == "rest":
            yield _rest(http)
            return
        if way == "websocket":
            async with socket(home.origin, additional_headers=headers) as line:
                yield _frames(line)
            return
        target = sse(f"{home.origin}/sse", headers) if way == "sse" else None
        target = target or streamable_http_client(home.url, http_client=http)
        async with Client(target, mode="auto" if way == "http-modern" else "legacy") as client:
            yield _mcp(client)


def _rest(http: httpx2.AsyncClient) -> Way:
    async def listed() -> set[str]:
        return {tool["name"] for tool in (await http.get("/api/v1/tools")).json()["tools"]}

    async def call(tool: str, arguments: dict[str, Any]) -> Any:
        answer = await http.post(f"/api/v1/tools/{tool}/call", json={"arguments": arguments})
        return answer.json() if answer.status_code == 200 else answer.json()["details"]["code"]

    return Way(listed, call)


def _frames(line: Socket) -> Way:
    async def listed() -> set[str]:
        raise NotImplementedError("a WebSocket lists nothing")

    async def call(tool: str, arguments: dict[str, Any]) -> Any:
        answer = await line.call(uuid4().hex, tool, **arguments)
        return answer["result"] if answer["type"] == "result" else code_of(answer)

    return Way(listed, call)


def _mcp(client: Client) -> Way:
    async def listed() -> set[str]:
        return {tool.name for tool in (await client.list_tools()).tools}

    async def call(tool: str, arguments: dict[str, Any]) -> Any:
        try:
            result = await client.call_tool(tool, arguments)
        except MCPError as refused:
            return refused.error.data["code"]
        return result.model_dump(by_alias=True)

    return Way(listed, call)


@shows("authorization")
@pytest.mark.parametrize("way", WAYS)
async def test_calling_and_listing_agree_at_every_door(home: House, way: str) -> None:
    for key in KEYS:
        async with coming(home, way, key) as door:
            listed = await door.listed()
            for tool, may in [(tool, may) for owner, tool, may in CALLS if owner == key]:
                answer = await door.call(tool, {})
                if key == "look":
                    assert (tool == "ask" or tool in listed, answer) == (True, "forbidden"), (key, tool)
                else:
                    refusal = "forbidden" if tool == "ask" else "unknown_name"
                    assert (tool in listed, answer != refusal) == (may, may), (key, tool, answer)


@shows("authorization")
async def test_calls_over_a_websocket_reach_as_far_as_those_of_the_other_doors(home: House) -> None:
    for key in KEYS:
        async with coming(home, "websocket", key) as door:
            for tool, may in [(tool, may) for owner, tool, may in CALLS if owner == key]:
                answer = await door.call(tool, {})
                refusal = "forbidden" if tool == "ask" or key == "look" else "unknown_name"
                assert (answer != refusal) is may, (key, tool, answer)


@shows("authorization")
@pytest.mark.parametrize("way", CALLING_WAYS)
async def test_a_refused_tool_looks_like_one_that_is_not_there(home: House, way: str) -> None:
    async with coming(home, way, "few") as door:
        assert await door.call("up__fail", {}) == await door.call("up__nothing", {}) == "unknown_name"


@shows("authorization")
@pytest.mark.parametrize("way", CALLING_WAYS)
async def test_call_tool_and_search_reach_no_further_than_their_caller(home: House, way: str) -> None:
    async with coming(home, way, "few") as door:
        through = await door.call("call_tool", {"name": "up__fail", "arguments": {}})
        found = await door.call("search", {"query": "fail echo", "kind": "tools"})

    assert through == "unknown_name"
    names = {hit["name"] for hit in found["structuredContent"]["results"]}
    assert "up__echo" in names
    assert "up__fail" not in names


@shows("authorization")
async def test_what_sysinfo_tells_of_servers_is_what_its_caller_sees(home: House) -> None:
    async with coming(home, "http-legacy", "other") as door:
        answer = await door.call("sysinfo", {"sections": ["gateway"]})

    assert '"up"' not in json.dumps(answer)


@shows("authorization")
@pytest.mark.parametrize(("scope", "told"), [("read", True), ("call", False)])
async def test_what_servers_say_of_themselves_is_for_those_who_may_look(tmp_path: Path, scope: str, told: bool) -> None:
    async with house(tmp_path, auth=only(scope)) as home:
        for mode in ("auto", "legacy"):
            async with as_only(home, mode) as client:
                assert ("## up" in (client.instructions or "")) is told


@shows("authorization")
async def test_listening_needs_the_scope_that_listing_needs(tmp_path: Path) -> None:
    async with house(tmp_path, auth=only("call")) as home, as_only(home, "auto") as client:
        for refused in (client.list_tools(), _listening(client)):
            with pytest.raises(MCPError) as error:
                await refused
            assert error.value.error.data["code"] == "forbidden"


@shows("authorization")
async def test_a_session_that_may_not_list_is_not_told_that_a_list_changed(tmp_path: Path) -> None:
    heard: list[str] = []

    async def hear(message: Any) -> None:
        heard.append(type(message).__name__)

    async with house(tmp_path, auth=only("call")) as home:
        ear = Ear()
        async with (
            as_only(home, "legacy", message_handler=hear),
            home.client(Door.STDIO_LEGACY, message_handler=ear),
            httpx2.AsyncClient(base_url=home.origin, headers={"X-API-Key": ONLY}) as http,
        ):
            await http.post("/api/v1/tools/up__grow/call", json={})
            assert await ear.wait()  # and until it is quiet

    assert heard == []


async def _listening(client: Client) -> None:
    async with client.listen(tools_list_changed=True):
        pass


ONLY = new_key()


def only(scope: str) -> dict[str, Any]:
    """The `auth` of a gateway with one key of one scope."""
    return {"keys": [{"name": "only", "hash": hashed(ONLY), "scopes": [scope]}]}


@asynccontextmanager
async def as_only(home: House, mode: str, **options: Any) -> AsyncIterator[Client]:
    async with (
        httpx2.AsyncClient(headers={"X-API-Key": ONLY}, timeout=20) as http,
        Client(streamable_http_client(home.url, http_client=http), mode=mode, **options) as client,
    ):
        yield client
