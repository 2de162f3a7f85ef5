"""A descriptor to read from and one to write to, whatever stands behind them.

Pipes, sockets and terminals are waited for by the event loop; a regular file or
`/dev/null`, which it cannot wait for, is read by a thread and written directly.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio.to_thread

from mcp_gateway.upstream.dispatch.pipe_end import PipeEnd

CHUNK_BYTES = 64 * 1024


class Input(Protocol):
    async def read(self) -> bytes:
        """The next piece, at most CHUNK_BYTES; empty at the end."""
        ...


class Output(Protocol):
    async def write(self, data: bytes) -> None:
        """Write all of it, in one piece. Raises OSError when nobody reads any more."""
        ...


@asynccontextmanager
async def open_input(fd: int) -> AsyncIterator[Input]:
    """The descriptor for reading; it is closed on leaving."""
    if _is_plain(fd):
        with os.fdopen(fd, "rb", buffering=0):
            yield _FileInput(fd)
        return
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), PipeEnd(fd)
    )
    try:
        yield _PipeInput(reader)
    finally:
        transport.close()


@asynccontextmanager
async def open_output(fd: int) -> AsyncIterator[Output]:
    """The descriptor for writing; it is closed on leaving, once what was written is gone."""
    if _is_plain(fd):
        with os.fdopen(fd, "wb", buffering=0):
            yield _FileOutput(fd)
        return
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, PipeEnd(fd))
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        yield _PipeOutput(writer)
    finally:
        writer.close()


def _is_plain(fd: int) -> bool:
    """True for what no event loop can wait for."""
    mode = os.fstat(fd).st_mode
    return stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(fd))


class _PipeInput:
    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def read(self) -> bytes:
        return await self._reader.read(CHUNK_BYTES)


class _PipeOutput:
    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()


class _FileInput:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def read(self) -> bytes:
        return await anyio.to_thread.run_sync(os.read, self._fd, CHUNK_BYTES)


class _FileOutput:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    async def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._fd, data) :]
