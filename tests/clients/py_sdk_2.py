"""The version 2 Python SDK's `Client`: legacy, auto, or insisting on one revision."""

from __future__ import annotations

import sys
from typing import Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client
from mcp_types import CallToolResult

from tests.clients.errand import Errand, report


def client(errand: Errand) -> Client:
    if errand.door == "stdio":
        command, *arguments = errand.target
        return Client(StdioServerParameters(command=command, args=arguments), mode=errand.mode)
    (url,) = errand.target
    return Client(sse_client(url) if errand.door == "sse" else url, mode=errand.mode)


def dump(result: CallToolResult) -> dict[str, Any]:
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def run(errand: Errand) -> None:
    async with client(errand) as session:
        names = {
            "tools": [tool.name for tool in (await session.list_tools()).tools],
            "resources": [str(resource.uri) for resource in (await session.list_resources()).resources],
            "prompts": [prompt.name for prompt in (await session.list_prompts()).prompts],
        }
        results = {tool: dump(await session.call_tool(tool, arguments)) for tool, arguments in errand.calls.items()}
        protocol = session.session.protocol_version
    report(protocol, names, results)


if __name__ == "__main__":
    anyio.run(run, Errand.of(sys.argv[1:]))
