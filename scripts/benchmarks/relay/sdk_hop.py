"""The plain SDK: `python -m benchmarks.relay.sdk_hop URL PORT`. Handlers of its server ask its one shared client."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import uvicorn
from mcp.client.client import Client
from mcp.server.lowlevel import Server


async def main(url: str, port: int) -> None:
    async with Client(url) as upstream:

        async def list_tools(context: Any, params: Any) -> Any:
            return await upstream.list_tools()

        async def call_tool(context: Any, params: Any) -> Any:
            return await upstream.call_tool(params.name, params.arguments)

        server: Server[Any] = Server("hop", on_list_tools=list_tools, on_call_tool=call_tool)
        app = server.streamable_http_app(json_response=True)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, log_level="warning", access_log=False, timeout_keep_alive=600
        )
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]), backend_options={"use_uvloop": True})
