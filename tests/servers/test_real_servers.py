"""Every real server answers through the gateway as it does directly: lists, a meaningful call, resources, prompts.

The conversations that need more than one message are in `test_conversations`.
"""

from __future__ import annotations

import json
from typing import Any

import mcp_types as types
import pytest

from tests.servers.fleet import EVERYTHING, Meeting

MODULE = "demo://resource/static/document/features.md"
TEMPLATE = "demo://resource/dynamic/text/{resourceId}"

pytestmark = pytest.mark.slow

everything = pytest.mark.parametrize("server", EVERYTHING)


def text(result: types.CallToolResult) -> str:
    """All text of a result that is not an error."""
    assert not result.is_error, result
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def call(meeting: Meeting, server: str, tool: str, **arguments: Any) -> types.CallToolResult:
    """List, then call one tool that is in the list."""
    async with meeting.client(server) as client:
        name = meeting.name(server, tool)
        assert name in [each.name for each in (await client.list_tools()).tools]
        return await client.call_tool(name, arguments)


async def test_time_converts_between_zones(meeting: Meeting) -> None:
    arguments = {"source_timezone": "Asia/Tokyo", "time": "09:30", "target_timezone": "Asia/Kolkata"}
    answer = json.loads(text(await call(meeting, "time", "convert_time", **arguments)))
    assert answer["time_difference"] == "-3.5h"


async def test_git_shows_the_log(meeting: Meeting) -> None:
    repository = str(meeting.fleet.repository)
    assert "plug in the first line" in text(await call(meeting, "git", "git_log", repo_path=repository))


async def test_fetch_reads_a_page(meeting: Meeting) -> None:
    assert "Number, please?" in text(await call(meeting, "fetch", "fetch", url=meeting.fleet.page_url))


async def test_fetch_offers_its_page_as_a_prompt(meeting: Meeting) -> None:
    async with meeting.client("fetch") as client:
        prompt = await client.get_prompt(meeting.name("fetch", "fetch"), {"url": meeting.fleet.page_url})
    assert "Number, please?" in prompt.model_dump_json()


async def test_filesystem_writes_and_reads_a_file(meeting: Meeting) -> None:
    path = str(meeting.fleet.files / f"{'gateway' if meeting.gateway_url else 'direct'}-{meeting.era}.txt")
    text(await call(meeting, "files", "write_file", path=path, content="line 1\nline 2 ✓\n"))
    assert text(await call(meeting, "files", "read_text_file", path=path)) == "line 1\nline 2 ✓\n"


async def test_filesystem_says_what_is_out_of_bounds(meeting: Meeting) -> None:
    refused = await call(meeting, "files", "read_text_file", path="/etc/hostname")
    assert refused.is_error
    assert "outside allowed directories" in refused.model_dump_json()


async def test_memory_remembers_what_it_was_told(meeting: Meeting) -> None:
    name = f"operator of {meeting.gateway_url} {meeting.era}"
    entity = {"name": name, "entityType": "person", "observations": ["answers quickly"]}
    text(await call(meeting, "memory", "create_entities", entities=[entity]))
    found = await call(meeting, "memory", "open_nodes", names=[name])
    assert found.structured_content == {"entities": [entity], "relations": []}


@everything
async def test_everything_echoes(meeting: Meeting, server: str) -> None:
    assert text(await call(meeting, server, "echo", message="naïve ✓ 日本")) == "Echo: naïve ✓ 日本"


@everything
async def test_everything_answers_with_structured_content(meeting: Meeting, server: str) -> None:
    result = await call(meeting, server, "get-structured-content", location="Chicago")
    assert result.structured_content == json.loads(text(result))


@everything
async def test_everything_answers_with_an_image(meeting: Meeting, server: str) -> None:
    result = await call(meeting, server, "get-tiny-image")
    (image,) = [block for block in result.content if isinstance(block, types.ImageContent)]
    assert image.mime_type == "image/png"


@everything
async def test_everything_links_to_resources_that_can_be_read(meeting: Meeting, server: str) -> None:
    async with meeting.client(server) as client:
        result = await client.call_tool(meeting.name(server, "get-resource-links"), {"count": 2})
        links = [block for block in result.content if isinstance(block, types.ResourceLink)]
        read = [(await client.read_resource(str(link.uri))).contents[0].uri for link in links]
    assert read == [link.uri for link in links]
    assert len(read) == 2


@everything
async def test_everything_lists_and_reads_a_resource(meeting: Meeting, server: str) -> None:
    uri = meeting.uri(server, MODULE)
    async with meeting.client(server) as client:
        assert uri in [str(resource.uri) for resource in (await client.list_resources()).resources]
        (content,) = (await client.read_resource(uri)).contents
    assert content.uri == uri
    assert isinstance(content, types.TextResourceContents)
    assert "# " in content.text


@everything
async def test_everything_lists_a_template_and_reads_through_it(meeting: Meeting, server: str) -> None:
    template = meeting.uri(server, TEMPLATE)
    async with meeting.client(server) as client:
        assert template in [each.uri_template for each in (await client.list_resource_templates()).resource_templates]
        (content,) = (await client.read_resource(template.replace("{resourceId}", "7"))).contents
    assert isinstance(content, types.TextResourceContents)
    assert content.text.startswith("Resource 7:")


@everything
async def test_everything_lists_and_renders_a_prompt(meeting: Meeting, server: str) -> None:
    name = meeting.name(server, "args-prompt")
    async with meeting.client(server) as client:
        assert name in [prompt.name for prompt in (await client.list_prompts()).prompts]
        prompt = await client.get_prompt(name, {"city": "Oslo"})
    assert "weather in Oslo" in prompt.model_dump_json()


@everything
async def test_everything_completes_a_prompt_argument(meeting: Meeting, server: str) -> None:
    ref = types.PromptReference(type="ref/prompt", name=meeting.name(server, "completable-prompt"))
    async with meeting.client(server) as client:
        departments = await client.complete(ref, {"name": "department", "value": "E"})
        people = await client.complete(ref, {"name": "name", "value": "A"}, {"department": "Engineering"})
    assert departments.completion.values == ["Engineering"]
    assert people.completion.values == ["Alice"]


@everything
async def test_everything_completes_a_template_variable(meeting: Meeting, server: str) -> None:
    ref = types.ResourceTemplateReference(type="ref/resource", uri=meeting.uri(server, TEMPLATE))
    async with meeting.client(server) as client:
        completed = await client.complete(ref, {"name": "resourceId", "value": "7"})
    assert completed.completion.values == ["7"]
