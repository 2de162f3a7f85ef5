"""The built-in tools through the stdio door, used by a real client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from mcp import Client, StdioServerParameters, stdio_client
from mcp_gateway.sandbox.choice import SandboxChoice

from tests.builtin.providers.services import SEARXNG, answering, origin
from tests.fakes.http_server import scripted
from tests.gateway import environment, stdio_command


def server(folder: Path, config: dict[str, Any]) -> StdioServerParameters:
    program, *arguments = stdio_command(folder, config)
    return StdioServerParameters(command=program, args=arguments, env=environment(folder), cwd=folder)


async def test_a_client_lists_and_uses_every_tool(tmp_path: Path, made_choice: SandboxChoice) -> None:
    assert made_choice.works
    async with scripted(answering(SEARXNG)) as searxng:
        config = {
            "mcpServers": {},
            "tools": {"search": {"providers": [{"type": "searxng", "url": origin(searxng)}]}},
        }
        with anyio.fail_after(60):
            async with Client(stdio_client(server(tmp_path, config))) as client:
                listed = {tool.name: tool for tool in (await client.list_tools()).tools}
                web = await client.call_tool("search", {"query": "fox", "kind": "web"})
                own = await client.call_tool("search", {"query": "run a program", "kind": "tools"})
                ran = await client.call_tool("execute", {"code": "print(6 * 7)"})
                read = await client.call_tool("analyze_code", {"code": "def f(): pass"})

    assert list(listed) == ["ask", "search", "execute", "analyze_code", "sysinfo"]
    assert all(tool.output_schema for tool in listed.values())
    assert web.structured_content is not None
    assert [hit["title"] for hit in web.structured_content["results"]] == ["The fox", "The dog"]
    assert own.structured_content is not None
    assert own.structured_content["results"][0]["name"] == "execute"
    assert ran.structured_content is not None
    assert ran.structured_content["stdout"] == "42\n"
    assert read.structured_content is not None
    assert read.structured_content["functions"][0]["name"] == "f"


async def test_tools_that_are_switched_off_are_neither_listed_nor_callable(tmp_path: Path) -> None:
    off = {"enabled": False}
    config = {"mcpServers": {}, "tools": {"ask": off, "search": off, "execute": off, "analyze_code": off}}
    with anyio.fail_after(60):
        async with Client(stdio_client(server(tmp_path, config))) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]

    assert names == ["sysinfo"]


async def test_execute_without_a_sandbox_is_listed_on_request_and_says_what_to_do(tmp_path: Path) -> None:
    config = {"mcpServers": {}, "tools": {"execute": {"enabled": True, "runner": "container"}}}
    with anyio.fail_after(60):
        async with Client(stdio_client(server(tmp_path, config))) as client:
            result = await client.call_tool("execute", {"argv": ["true"]})

    assert result.is_error
    assert "write tools.execute.container.image, by its digest" in str(result.content[0])
