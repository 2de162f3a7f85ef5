"""The version 2 Python SDK's `Client`: legacy, auto, or insisting on one revision."""

from __future__ import annotations

import sys

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.sse import sse_client

from tests.clients.errand import Errand, report


def client(errand: Errand) -> Client:
    if errand.door == "stdio":
        command, *arguments = errand.target
        return Client(StdioServerParameters(command=command, args=arguments), mode=errand.mode)
    (url,) = errand.target
    return Client(sse_client(url) if errand.door == "sse" else url, mode=errand.mode)


async def run(errand: Errand) -> None:
    async with client(errand) as session:
        names = {
            "tools": [tool.name for tool in (await session.list_tools()).tools],
            "resources": [str(resource.uri) for resource in (await session.list_resources()).resources],
            "prompts": [prompt.name for prompt in (await session.list_prompts()).prompts],
        }
        result = await session.call_tool(errand.tool, errand.arguments)
        protocol = session.session.protocol_version
    report(protocol, names, result.model_dump(mode="json", by_alias=True, exclude_none=True))


if __name__ == "__main__":
    anyio.run(run, Errand.of(sys.argv[1:]))
