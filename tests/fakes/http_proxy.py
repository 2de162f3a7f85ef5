"""A forward proxy: CONNECT tunnels, and absolute-form requests passed on. Records what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Proxy:
    """`heads` are the request heads as they came; a CONNECT is answered with `status`."""

    port: int
    status: int = 200
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def proxying(status: int = 200) -> AsyncIterator[Proxy]:
    """Run the proxy on a free port of the loopback."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await _serve(proxy, reader, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    proxy = Proxy(listening.sockets[0].getsockname()[1], status)
    try:
        yield proxy
    finally:
        listening.close()
        ending = list(tasks)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending)


async def _serve(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    proxy.heads.append(head.decode("latin-1"))
    verb, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
    if verb == "CONNECT":
        writer.write(b"HTTP/1.1 %d Told\r\n\r\n" % proxy.status)
        if proxy.status != 200:
            await writer.drain()
            return
        host, _, port = target.rpartition(":")
        onward_reader, onward = await asyncio.open_connection(host, int(port))
    else:
        parts = urlsplit(target)
        onward_reader, onward = await asyncio.open_connection(parts.hostname, parts.port)
        onward.write(head.replace(target.encode(), parts.path.encode(), 1))
    try:
        await asyncio.wait(
            [asyncio.ensure_future(_copy(reader, onward)), asyncio.ensure_future(_copy(onward_reader, writer))]
        )
    finally:
        onward.transport.abort()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    sink.close()
