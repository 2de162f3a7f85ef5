"""An HTTP server that does exactly what a test's script says, down to the byte.

A script is called once for each request and writes whatever it likes; every
connection and request is recorded. For peers that misbehave in ways no framework allows.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. `headers` keep their order; `connection` numbers the connections from 1."""

    verb: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        return dict(self.headers).get(name)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(slots=True)
class Wire:
    """The way back to the client."""

    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        await self.send(f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode("latin-1"))

    async def whole(self, status: int, body: bytes, **headers: str) -> None:
        """A complete answer with its length."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.head(status, {"content-length": str(len(body)), **named})
        await self.send(body)

    async def json(self, body: Any, status: int = 200, **headers: str) -> None:
        await self.whole(status, json.dumps(body).encode(), content_type="application/json", **headers)

    async def result(self, request: Request, result: Any, **headers: str) -> None:
        await self.json({"jsonrpc": "2.0", "id": request.json["id"], "result": result}, 200, **headers)

    async def begin_events(self, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        await self.head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **named})

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, message: Any, id: str | None = None) -> None:
        await self.chunk((f"id: {id}\n" if id else "").encode() + b"data: " + json.dumps(message).encode() + b"\n\n")

    async def end_events(self) -> None:
        await self.send(b"0\r\n\r\n")

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


Script = Callable[[Request, Wire], Awaitable[None]]


@dataclass(slots=True)
class ScriptedServer:
    """What a test sees of the server. `gone` is set when a connection ends under a running script."""

    port: int
    scheme: str = "http"
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/mcp"

    def calls(self, method: str) -> list[Request]:
        """The recorded requests that carry this JSON-RPC method."""
        return [request for request in self.requests if request.body and request.json.get("method") == method]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for requests until the condition holds."""
        while not condition():
            self.heard.clear()
            await self.heard.wait()


_ACCEPT_TURNS = 4
"""Turns of the loop until asyncio hands over what it has accepted; one that meets a closed server is never closed."""


class _Reader(asyncio.StreamReader):
    """Tells of the connection's end without anybody reading."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.ended.set()

    def set_exception(self, error: Exception) -> None:
        super().set_exception(error)
        self.ended.set()


@asynccontextmanager
async def scripted(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedServer]:
    """Serve the script on a free port of the loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, _Reader)
        server.connections += 1
        number = server.connections
        try:
            while (request := await _read(reader, number)) is not None and not writer.is_closing():
                server.requests.append(request)
                server.heard.set()
                await _run(script, request, Wire(writer), reader, server)
        except (ConnectionError, asyncio.CancelledError):
            pass

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task that is cancelled before it begins closes nothing by itself, so its end is watched from outside."""
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    listening = await asyncio.get_running_loop().create_server(
        lambda: asyncio.StreamReaderProtocol(_Reader(), accept), "127.0.0.1", 0, ssl=tls
    )
    server = ScriptedServer(listening.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield server
    finally:
        asyncio.get_running_loop().remove_reader(listening.sockets[0].fileno())
        for _ in range(_ACCEPT_TURNS):
            await asyncio.sleep(0)
        listening.close()
        ending = list(tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        await asyncio.sleep(0)  # transports close one turn of the loop after they are told to


async def _run(script: Script, request: Request, wire: Wire, reader: _Reader, server: ScriptedServer) -> None:
    """Run the script; a client that goes away ends it."""
    running = asyncio.ensure_future(script(request, wire))
    leaving = asyncio.ensure_future(reader.ended.wait())
    try:
        await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            server.gone.set()
    finally:
        leaving.cancel()
        if not running.done():
            running.cancel()
        await asyncio.gather(running, leaving, return_exceptions=True)
    if running.done() and not running.cancelled() and running.exception() is not None:
        raise running.exception() or AssertionError


async def _read(reader: asyncio.StreamReader, connection: int) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    line, *fields = head.rstrip("\r\n").split("\r\n")
    verb, target, _ = line.split(" ")
    headers = tuple((name.lower(), value.strip()) for name, _, value in (f.partition(":") for f in fields))
    length = int(dict(headers).get("content-length", "0"))
    return Request(verb, target, headers, await reader.readexactly(length) if length else b"", connection)
