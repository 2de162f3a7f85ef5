"""What a client finds: handshakes, listings, prompts, resources, completion."""

from __future__ import annotations

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.fakes.everything import STATIC, TEMPLATE
from tests.interaction.asking import ask, error_of
from tests.interaction.conftest import Connect
from tests.interaction.house import Door
from tests.interaction.requirements import shows

TOOLS = ["echo", "fail", "progress", "log", "sample", "elicit", "roots", "wait", "grow", "touch", "count"]


@shows("handshake")
async def test_a_client_of_either_era_is_told_what_there_is(connect: Connect, door: Door) -> None:
    async with connect() as client:
        assert client.session.protocol_version == ("2026-07-28" if door.modern else "2025-11-25")
        assert client.server_info is not None
        assert client.server_info.name == "mcp-gateway"
        capabilities = client.server_capabilities
        assert capabilities.tools is not None
        assert capabilities.resources is not None
        assert capabilities.resources.subscribe
        assert "Use echo to hear yourself." in (client.instructions or "")


@shows("listings")
async def test_tools_are_listed_under_their_servers_name(connect: Connect) -> None:
    async with connect() as client:
        listed = [tool.name for tool in (await client.list_tools()).tools]

    assert "sysinfo" in listed
    assert [name for name in listed if name.startswith("up__")] == [f"up__{name}" for name in TOOLS]


@shows("listings", "prompts")
async def test_a_listed_prompt_can_be_got(connect: Connect) -> None:
    async with connect() as client:
        (prompt,) = (await client.list_prompts()).prompts
        got = await client.get_prompt(prompt.name, {"who": "Ada"})

    assert prompt.name == "up__greet"
    assert [message.content for message in got.messages] == [types.TextContent(type="text", text="Greet Ada.")]


@shows("listings", "resources")
async def test_a_listed_resource_can_be_read(connect: Connect) -> None:
    async with connect() as client:
        (resource,) = (await client.list_resources()).resources
        read = await client.read_resource(resource.uri)

    assert str(resource.uri) == STATIC
    assert read.contents == [types.TextResourceContents(uri=STATIC, text=f"contents of {STATIC}")]


@shows("listings", "resources")
async def test_a_resource_of_a_listed_template_can_be_read(connect: Connect) -> None:
    async with connect() as client:
        (template,) = (await client.list_resource_templates()).resource_templates
        read = await client.read_resource("test://items/7")

    assert template.uri_template == TEMPLATE
    assert read.contents == [types.TextResourceContents(uri="test://items/7", text="contents of test://items/7")]


@shows("resource-missing")
async def test_a_missing_resource_has_the_code_of_the_callers_revision(connect: Connect, door: Door) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await client.read_resource("test://items/missing")

    code, message, data = error_of(refused.value)
    assert code == (-32602 if door.modern else -32002)
    assert message == "no such item"
    assert data == {"uri": "test://items/missing"}


@shows("completion")
async def test_arguments_are_completed_by_the_upstream(connect: Connect) -> None:
    async with connect() as client:
        reference = types.PromptReference(type="ref/prompt", name="up__greet")
        completed = await client.complete(reference, {"name": "who", "value": "A"})

    assert completed.completion.values == ["Ada", "Alan"]


@shows("vendor-methods")
async def test_a_vendors_method_reaches_the_upstream(connect: Connect) -> None:
    async with connect() as client:
        assert (await ask(client, "vendor/shout"))["shout"] == "HEY"


@shows("unknown-method")
async def test_a_method_nobody_serves_is_not_found(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await ask(client, "vendor/whisper")

    assert error_of(refused.value)[0] == -32601


@shows("ping")
async def test_ping_is_answered_where_the_revision_has_it(connect: Connect, door: Door) -> None:
    async with connect() as client:
        if door.modern:
            with pytest.raises(MCPError):
                await client.session.send_request(types.PingRequest(), types.EmptyResult)
        else:
            await client.session.send_request(types.PingRequest(), types.EmptyResult)


@shows("listing-one-page")
@pytest.mark.parametrize("cursor", ["2", "x" * 1000])
async def test_a_cursor_is_refused(connect: Connect, cursor: str) -> None:
    async with connect() as client:
        with pytest.raises(MCPError) as refused:
            await client.list_tools(cursor=cursor)

    assert error_of(refused.value)[0] == -32602


@shows("discover-on-sse")
@pytest.mark.parametrize("door", [Door.SSE], ids=["sse"])
async def test_a_client_that_probes_falls_back_on_the_sse_door(connect: Connect, door: Door) -> None:
    async with connect(mode="auto") as client:
        assert client.session.protocol_version == "2025-11-25"
        assert (await client.list_tools()).tools
