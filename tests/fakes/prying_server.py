"""An MCP server whose one tool tells what its process can reach: files, environment, network."""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

import anyio
import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server


def can_read(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


def can_write(path: str) -> bool:
    try:
        with open(path, "w") as file:
            file.write("x")
    except OSError:
        return False
    return True


def can_connect(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


async def list_tools(ctx: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[types.Tool(name="pry", input_schema={"type": "object"})])


async def pry(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
    wanted = params.arguments or {}
    seen = {
        "reads": [path for path in wanted.get("read", []) if can_read(path)],
        "writes": [path for path in wanted.get("write", []) if can_write(path)],
        "connects": [port for port in wanted.get("connect", []) if can_connect(port)],
        "environment": sorted(os.environ),
        "token": os.environ.get("TOKEN"),
    }
    return types.CallToolResult(content=[types.TextContent(type="text", text=json.dumps(seen))])


async def main() -> None:
    server: Server[Any] = Server("prying", on_list_tools=list_tools, on_call_tool=pry)
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
    sys.exit(0)
