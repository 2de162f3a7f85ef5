"""The version 1 Python SDK's `ClientSession`, which knows the `initialize` handshake alone.

Runs in the environment that `tests/setup/python_sdk_1.sh` makes; the checker,
which sees version 2, reads nothing in here.
"""

# mypy: ignore-errors

from __future__ import annotations

import sys
from contextlib import asynccontextmanager

import anyio
from mcp import ClientSession, StdioServerParameters
from mcp.client.sse import sse_client
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.clients.errand import Errand, report


@asynccontextmanager
async def streams(errand):
    if errand.door == "stdio":
        command, *arguments = errand.target
        transport = stdio_client(StdioServerParameters(command=command, args=arguments))
    else:
        (url,) = errand.target
        transport = sse_client(url) if errand.door == "sse" else streamable_http_client(url)
    async with transport as (reader, writer, *_):
        yield reader, writer


def dump(result):
    return result.model_dump(mode="json", by_alias=True, exclude_none=True)


async def run(errand: Errand) -> None:
    async with streams(errand) as (reader, writer), ClientSession(reader, writer) as session:
        protocol = (await session.initialize()).protocolVersion
        names = {
            "tools": [tool.name for tool in (await session.list_tools()).tools],
            "resources": [str(resource.uri) for resource in (await session.list_resources()).resources],
            "prompts": [prompt.name for prompt in (await session.list_prompts()).prompts],
        }
        results = {tool: dump(await session.call_tool(tool, arguments)) for tool, arguments in errand.calls.items()}
    report(protocol, names, results)


if __name__ == "__main__":
    anyio.run(run, Errand.of(sys.argv[1:]))
