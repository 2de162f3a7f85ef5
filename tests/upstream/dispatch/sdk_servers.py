"""Real MCP servers for the HTTP wires: the SDK's own server under uvicorn, on a free port of this event loop."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp.server import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.sse import SseServerTransport
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route


class Probe:
    """What a test may see of, and tell to, the server's tools."""

    def __init__(self) -> None:
        self.hanging = anyio.Event()
        self.cancelled = anyio.Event()


def mcp_server(probe: Probe) -> Server[Any]:
    """Tools: `echo`, `talk` (progress and a log entry first), `ask` (samples), `hang`, `announce` (list_changed)."""

    async def call_tool(ctx: ServerRequestContext[Any], params: types.CallToolRequestParams) -> types.CallToolResult:
        text = str((params.arguments or {}).get("text", ""))
        if params.name == "talk":
            await ctx.session.report_progress(1, 2, "half")
            await ctx.session.send_log_message("info", "working", related_request_id=ctx.request_id)
        elif params.name == "ask":
            message = types.SamplingMessage(role="user", content=types.TextContent(type="text", text="?"))
            answer = await ctx.session.create_message([message], max_tokens=5, related_request_id=ctx.request_id)
            assert isinstance(answer.content, types.TextContent)
            text = answer.content.text
        elif params.name == "hang":
            probe.hanging.set()
            try:
                await anyio.sleep_forever()
            finally:
                probe.cancelled.set()
        elif params.name == "announce":
            await ctx.session.send_tool_list_changed()
        return types.CallToolResult(content=[types.TextContent(type="text", text=text)])

    async def list_tools(ctx: ServerRequestContext[Any], params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[])

    return Server("sdk", on_call_tool=call_tool, on_list_tools=list_tools, get_tool_input_schema=lambda name: None)


def sse_app(server: Server[Any]) -> Starlette:
    """The legacy transport, as the SDK's documentation mounts it."""
    transport = SseServerTransport("/messages/")

    async def handle(request: Request) -> Response:
        async with transport.connect_sse(request.scope, request.receive, request._send) as streams:
            await server.run(streams[0], streams[1], server.create_initialization_options())
        return Response()

    return Starlette(routes=[Route("/sse", handle), Mount("/messages/", transport.handle_post_message)])


class _Uvicorn(uvicorn.Server):
    """Tells when it serves, and leaves the process's signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = anyio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    async def main_loop(self) -> None:
        """Looks more often than uvicorn does whether it should stop."""
        await self.on_tick(0)
        while not self.should_exit:  # noqa: ASYNC110 - it is a plain attribute
            await anyio.sleep(0.01)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, without its pause of a tenth of a second: idle connections close at once."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(self.config.timeout_graceful_shutdown or 0):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110 - uvicorn sets no event
                await anyio.sleep(0.005)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: Any, **tls: Any) -> AsyncIterator[str]:
    """Serve an ASGI app; yields `http(s)://127.0.0.1:PORT`."""
    async with serving_at(lambda url: app, **tls) as url:
        yield url


@asynccontextmanager
async def serving_at(make: Callable[[str], Any], **tls: Any) -> AsyncIterator[str]:
    """Serve the ASGI app that `make` makes for its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        config = uvicorn.Config(make(url), log_level="error", ws="none", timeout_graceful_shutdown=1, **tls)
        server = _Uvicorn(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listening])
            await server.serving.wait()
            yield url
            server.should_exit = True
