"""Profiles: a part of the whole at an address of its own, and nothing of the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_gateway.call import Selection

from tests.fakes.everything import STATIC, Everything
from tests.fakes.everything import http_app as everything_app
from tests.interaction.asking import ask, error_of, until
from tests.interaction.house import Door, House, gateway, served
from tests.interaction.posting import HEADERS, Session
from tests.interaction.requirements import shows
from tests.interaction.test_announcements import Ear

PROFILES = {
    "work": {"servers": ["up"], "tools": {"deny": ["*__fail", "sysinfo"]}},
    "rest": {"servers": ["side"], "mode": "search"},
    "nobody": {"servers": ["up"], "tools": {"allow": ["nothing*"]}},
}
HIDDEN = "other://secret"
HTTP_DOORS = pytest.mark.parametrize("door", [Door.HTTP_LEGACY, Door.HTTP_MODERN], ids=lambda door: door.name.lower())


class Side(Everything):
    """A second upstream, whose resource is its own."""

    async def list_resources(self, ctx: Any, params: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=[types.Resource(uri=HIDDEN, name="secret")])

    async def list_templates(self, ctx: Any, params: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=[])

    async def shout(self, ctx: Any, params: types.RequestParams) -> dict[str, Any]:
        raise MCPError(types.METHOD_NOT_FOUND, "not here")


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    """Two upstreams and three profiles; `work` is what doors without an address serve."""
    up, side = Everything(), Side()
    async with served(everything_app(up.server())) as first, served(everything_app(side.server())) as second:
        servers = {
            "up": {"url": f"{first.origin}/mcp", "type": "http", "era": "legacy"},
            "side": {"url": f"{second.origin}/mcp", "type": "http", "era": "legacy"},
        }
        config = {"mcpServers": servers, "profiles": PROFILES}
        async with gateway(tmp_path, config, selection=Selection(profile="work")) as (app, doors):
            yield House(up, app, doors, first)


@pytest.fixture
async def client(home: House, door: Door) -> AsyncIterator[Client]:
    """At `/mcp/work` where a door has an address; by the flag where it has none."""
    async with home.client(door, address="/work") as client:
        yield client


async def refused_as_unknown(asking: Any, message: str, **told: str) -> None:
    with pytest.raises(MCPError) as refused:
        await asking
    code, text, data = error_of(refused.value)
    assert (code, text, data) == (-32602, message, {"code": "unknown_name", **told})


@shows("profiles")
async def test_a_profile_lists_its_part(client: Client) -> None:
    tools = [tool.name for tool in (await client.list_tools()).tools]

    assert {name.partition("__")[0] for name in tools} == {"up"}
    assert "up__echo" in tools
    assert "up__fail" not in tools
    assert [prompt.name for prompt in (await client.list_prompts()).prompts] == ["up__greet"]
    assert [str(each.uri) for each in (await client.list_resources()).resources] == [STATIC]


@shows("profiles")
async def test_instructions_are_those_of_the_profiles_servers(client: Client) -> None:
    assert "## up" in (client.instructions or "")
    assert "## side" not in (client.instructions or "")


@shows("profiles-hide")
async def test_a_hidden_tool_is_as_unknown_whoever_calls_it(client: Client) -> None:
    for name, nearest in (("side__echo", "up__echo"), ("up__fail", None), ("sysinfo", None), ("side__ecko", None)):
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        with pytest.raises(MCPError) as direct:
            await client.call_tool(name, {})
        assert error_of(direct.value)[0] == -32602
        assert "side__" not in error_of(direct.value)[1].removeprefix(f"Unknown tool: {name}")
        await refused_as_unknown(client.call_tool("call_tool", {"name": name}), error_of(direct.value)[1])
        assert hint in error_of(direct.value)[1]


@shows("profiles-hide")
async def test_hidden_prompts_resources_and_completions_are_unknown(client: Client, door: Door) -> None:
    await refused_as_unknown(
        client.get_prompt("side__greet", {"who": "Ada"}), "Unknown prompt: side__greet; did you mean 'up__greet'?"
    )
    reference = types.PromptReference(type="ref/prompt", name="side__greet")
    await refused_as_unknown(
        client.complete(reference, {"name": "who", "value": "A"}),
        "Unknown prompt: side__greet; did you mean 'up__greet'?",
    )
    await refused_as_unknown(client.read_resource(HIDDEN), f"Unknown resource: {HIDDEN}", uri=HIDDEN)


@shows("profiles-hide")
async def test_hidden_tools_are_neither_found_nor_described(client: Client) -> None:
    found = await client.call_tool("search_tools", {"query": "echo side", "limit": 20})
    described = await client.call_tool("describe_tools", {"names": ["side__echo"]})

    assert {hit["server"] for hit in (found.structured_content or {})["results"]} == {"up"}
    assert described.structured_content == {
        "tools": [],
        "unknown": [{"name": "side__echo", "did_you_mean": "up__echo"}],
    }


@shows("profiles-hide")
@HTTP_DOORS
async def test_sysinfo_tells_of_the_profiles_servers_only(home: House, door: Door) -> None:
    async with home.client(door, address="/rest") as client:
        result = await client.call_tool("sysinfo", {"sections": ["gateway"]})
    health = (result.structured_content or {})["sections"]["gateway"]
    assert [server["name"] for server in health["servers"]] == ["side"]
    assert health["tools"] == 12


@shows("profiles-hide")
async def test_a_listen_to_a_hidden_resource_is_not_honoured(home: House) -> None:
    async with (
        home.client(Door.HTTP_MODERN, address="/work") as client,
        client.listen(resource_subscriptions=[HIDDEN, STATIC]) as events,
    ):
        assert events.honored.resource_subscriptions == [STATIC]


@shows("profiles-hide")
@HTTP_DOORS
async def test_a_vendors_method_reaches_no_hidden_server(home: House, door: Door) -> None:
    async with home.client(door, address="/work") as client:
        assert (await ask(client, "vendor/shout"))["shout"] == "HEY"
    async with home.client(door, address="/rest") as client:
        with pytest.raises(MCPError) as refused:
            await ask(client, "vendor/shout")
    assert error_of(refused.value)[0] == -32601


@shows("profiles", "search-mode-when")
@HTTP_DOORS
async def test_a_profile_chooses_its_mode(home: House, door: Door) -> None:
    async with home.client(door, address="/rest") as client:
        tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == ["search_tools", "describe_tools", "call_tool", "read_tool", "sysinfo"]
    assert "11 tools of 1 servers: side (11)." in (tools[0].description or "")


@shows("profiles")
@HTTP_DOORS
async def test_a_profile_may_be_empty(home: House, door: Door) -> None:
    async with home.client(door, address="/nobody") as client:
        assert (await client.list_tools()).tools == []


@shows("profiles")
async def test_an_unknown_profile_or_mode_is_no_address(home: House) -> None:
    async with httpx2.AsyncClient() as http:
        answers = [await http.post(home.url + rest, headers=HEADERS, json={}) for rest in ("/nope", "?mode=some")]

    assert [answer.status_code for answer in answers] == [404, 400]
    assert [answer.json()["details"]["code"] for answer in answers] == ["not_found", "invalid_params"]


@shows("profiles-sessions")
async def test_a_session_is_unknown_under_another_profile(home: House) -> None:
    async with Session(f"{home.url}/work") as session:
        for address in ("/rest", "/nobody"):
            session.url = home.url + address
            answer = await session.post({"jsonrpc": "2.0", "id": 5, "method": "tools/list"})
            assert (answer.status_code, answer.json()["error"]["message"]) == (404, "Session not found")
            assert (await session.http.delete(session.url, headers=session.headers)).status_code == 404
        session.url = f"{home.url}/work"
        assert len((await session.ask(6, "tools/list"))["result"]["tools"]) == 10


@shows("profiles", "list-changed")
async def test_a_changed_profile_is_announced(home: House) -> None:
    ear = Ear()
    async with home.client(Door.HTTP_LEGACY, address="/work", message_handler=ear) as client:
        await until(lambda: len(home.app.sessions) == 1)
        before = home.app.config.path.read_text(encoding="utf-8")
        home.app.config.path.write_text(before.replace('"*__fail"', '"*__echo"'), encoding="utf-8")
        assert home.app.reloading.reload()
        assert "notifications/tools/list_changed" in await ear.wait()
        names = [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]

    assert ("up__fail" in names, "up__echo" in names) == (True, False)


@shows("profiles")
async def test_a_file_without_the_served_profile_is_not_taken_over(home: House) -> None:
    before = home.app.config.path.read_text(encoding="utf-8")
    home.app.config.path.write_text(before.replace('"work"', '"play"'), encoding="utf-8")

    assert not home.app.reloading.reload()
    assert "profiles.work: there is no such profile; known: play, rest, nobody" in (home.app.reloading.error or "")


@shows("profiles")
async def test_rest_lists_everything(home: House) -> None:
    async with httpx2.AsyncClient() as http:
        tools = (await http.get(f"{home.origin}/api/v1/tools")).json()["tools"]

    assert {tool["server"] for tool in tools} == {None, "up", "side"}
