"""A gateway in this very process, its upstream beside it, and clients at its doors.

The far end is `Everything` on a real socket, so that a test sees both sides of a
call; the doors are the gateway's own: a socket, or a pair of pipes.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.sse import sse_client
from mcp.server.runner import serve_dual_era_loop
from mcp.shared.message import SessionMessage
from mcp_gateway.app import App
from mcp_gateway.call import UNSELECTED, Selection
from mcp_gateway.config import load_config
from mcp_gateway.downstream.http import HttpRules, http_app
from mcp_gateway.downstream.http_wire import Bounds
from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.downstream.pipes import open_input, open_output
from mcp_gateway.downstream.server import DEFAULT_BOUNDS, HttpServer, Transport, address, bind
from mcp_gateway.downstream.stdio import stdio_streams
from mcp_types import jsonrpc_message_adapter
from starlette.types import ASGIApp

from tests.fakes.everything import Everything
from tests.fakes.everything import http_app as everything_app
from tests.gateway import write_config
from tests.lane import FAST_LANE

HEARTBEAT_S = 10.0
"""What is promised; a test of the heartbeat itself asks for less."""


FEW_BUILTINS = {name: {"enabled": False} for name in ("search", "execute", "analyze_code", "ask")}
"""Built-ins that look for what they need first announce themselves when they like."""


class Door(Enum):
    """Every way in that speaks MCP: transport, and the mode of the client."""

    STDIO_LEGACY = ("stdio", "legacy")
    STDIO_MODERN = ("stdio", "auto")
    SSE = ("sse", "legacy")
    HTTP_LEGACY = ("http", "legacy")
    HTTP_MODERN = ("http", "auto")

    @property
    def transport(self) -> str:
        return str(self.value[0])

    @property
    def modern(self) -> bool:
        return self.mode == "auto"

    @property
    def mode(self) -> str:
        return str(self.value[1])


@dataclass
class House:
    """A running gateway. `everything` is its upstream `up`."""

    everything: Everything
    app: App
    doors: Served
    upstream: Served

    @classmethod
    def of(cls, app: App, doors: Served) -> House:
        """The doors of a gateway whose upstreams are none of ours."""
        return cls(Everything(), app, doors, doors)

    @property
    def origin(self) -> str:
        return self.doors.origin

    @property
    def url(self) -> str:
        return f"{self.origin}/mcp"

    def client(self, door: Door, *, address: str = "", **options: Any) -> Client:
        """A client that is about to come in through the door; `address` is what follows `/mcp` on an HTTP door."""
        return Client(self._target(door, address), mode=options.pop("mode", door.mode), **options)

    def _target(self, door: Door, address: str) -> Any:
        if door.transport == "http":
            return self.url + address
        return sse(f"{self.origin}/sse") if door.transport == "sse" else self._pipes()

    @asynccontextmanager
    async def _pipes(self) -> AsyncIterator[Any]:
        """The stdio door between two pipes; leaving ends its input."""
        async with anyio.create_task_group() as group, self.lines() as (lines, write_line):
            received, incoming = anyio.create_memory_object_stream[SessionMessage | Exception](0)
            outgoing, sent = anyio.create_memory_object_stream[SessionMessage](0)

            async def take() -> None:
                with suppress(anyio.BrokenResourceError):  # the client has left
                    async with received:
                        async for line in lines:
                            await received.send(SessionMessage(jsonrpc_message_adapter.validate_json(line)))

            async def give() -> None:
                async for message in sent:
                    await write_line(message.message.model_dump_json(by_alias=True, exclude_unset=True).encode())

            group.start_soon(take)
            group.start_soon(give)
            async with incoming, outgoing, sent:
                yield incoming, outgoing
                group.cancel_scope.cancel()

    @asynccontextmanager
    async def lines(self) -> AsyncIterator[Any]:
        """The stdio door as lines of bytes: those that come out, and a function that puts one in."""
        (their_input, our_output), (our_input, their_output) = os.pipe(), os.pipe()
        limit = self.app.config.limits.max_body

        async def serve() -> None:
            async with stdio_streams(their_input, their_output, limit, anyio.Event()) as streams:
                await serve_dual_era_loop(self.app.endpoint.server, *streams, lifespan_state=None)

        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            async with open_input(our_input) as source, open_output(our_output) as sink:
                yield _lines(source), lambda line: sink.write(line + b"\n")


@asynccontextmanager
async def sse(url: str, headers: dict[str, str] | None = None) -> AsyncIterator[Any]:
    """The SDK's client. What it reads breaks when an announcement arrives after it has stopped listening, which it
    does before it leaves; nothing else breaks in this way.
    """
    try:
        async with sse_client(url, headers=headers) as streams:
            yield streams
    except* anyio.BrokenResourceError:
        pass


async def _lines(source: Any) -> AsyncIterator[bytes]:
    rest = b""
    while chunk := await source.read():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def house(
    folder: Path,
    *,
    era: str = "legacy",
    entry: Mapping[str, Any] | None = None,
    everything: Everything | None = None,
    **options: Any,
) -> AbstractAsyncContextManager[House]:
    """A gateway in front of one `Everything` that speaks `era`. More for its `entry`, `gateway`, root keys."""
    return _house(folder, {"era": era, **(entry or {})}, everything or Everything(), options)


@asynccontextmanager
async def _house(
    folder: Path, entry: Mapping[str, Any], everything: Everything, options: Mapping[str, Any]
) -> AsyncIterator[House]:
    how = {name: value for name, value in options.items() if name in ("heartbeat_s", "selection", "bounds")}
    config = {name: value for name, value in options.items() if name not in how}
    async with served(everything_app(everything.server())) as upstream:
        servers = {"up": {"url": f"{upstream.origin}/mcp", "type": "http", "timeout": 20, **entry}}
        async with gateway(folder, {"mcpServers": servers, **config}, **how) as (app, doors):
            yield House(everything, app, doors, upstream)


@asynccontextmanager
async def gateway(
    folder: Path,
    config: Mapping[str, Any],
    *,
    settle: bool = True,
    heartbeat_s: float = HEARTBEAT_S,
    selection: Selection = UNSELECTED,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> AsyncIterator[tuple[App, Served]]:
    """Any gateway, and its HTTP doors. With `settle` its servers have been heard of, or have failed once."""
    path = write_config(folder, {"reload": {"watch": False}, "tools": FEW_BUILTINS, **config})
    with _kept_logging():
        environ = {"MCP_GATEWAY_HOME": str(folder / "home"), "PATH": os.environ["PATH"]}
        app = App(load_config(path, environ=environ), environ=environ, selection=selection)
        app.heartbeat.interval_s = heartbeat_s
        async with app.running():
            if settle:
                await app.upstreams.settled(10)
            fast_lane = FAST_LANE and app.config.server.fast_lane
            rules = HttpRules(max_body_bytes=app.config.limits.max_body, fast_lane=fast_lane)
            doors = http_app(app.gateway, app.endpoint, rules, app.process, app.access, desk=app.desk)
            async with served(doors, app.endpoint.in_flight, bounds=bounds) as serving:
                yield app, serving


@dataclass
class Served:
    """An application that listens."""

    origin: str
    server: HttpServer
    ended: anyio.Event
    listener: socket.socket

    async def stop(self) -> None:
        """End it now; the port is closed on return. Event streams of others in this process go on."""
        self.server.should_exit = self.server.force_exit = True
        await self.ended.wait()


@asynccontextmanager
async def served(app: ASGIApp, in_flight: InFlight | None = None, **options: Any) -> AsyncIterator[Served]:
    """The application on a free port of loopback; options are those of the server."""
    started, ended = anyio.Event(), anyio.Event()
    listener = bind("127.0.0.1", 0)
    server = HttpServer(app, in_flight or InFlight(), started.set, Transport(), **options)

    async def serve() -> None:
        with listener:
            await server.serve([listener])
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        await started.wait()
        serving = Served(address(listener, Transport()), server, ended, listener)
        try:
            yield serving
        finally:
            await serving.stop()


@contextmanager
def _kept_logging() -> Iterator[None]:
    """A gateway takes over the process's log; a test runner wants it back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
