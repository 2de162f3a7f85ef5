"""An end of a pipe is closed once, whichever loop has it."""

from __future__ import annotations

import asyncio
import os
from io import FileIO

import pytest
import uvloop
from mcp_gateway.upstream.dispatch.pipe_end import PipeEnd


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def close_and_reuse() -> bool:
    """Close a transport, give its number to another pipe before the loop goes on; whether that stays open."""
    read_fd, write_fd = os.pipe()
    loop = asyncio.get_running_loop()
    reader, _ = await loop.connect_read_pipe(asyncio.Protocol, PipeEnd(read_fd))
    writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, PipeEnd.taken_from(FileIO(write_fd, "wb")))
    reader.close()
    writer.close()
    taken: list[int] = []
    for _ in range(5):
        taken += os.pipe()
        await asyncio.sleep(0)
    kept = all(map(is_open, taken))
    for fd in taken:
        if is_open(fd):
            os.close(fd)
    return kept


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_number_that_was_given_away_is_left_alone(factory: object) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]  # both make loops
        assert runner.run(close_and_reuse())


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_closed_transport_closes_its_descriptor(factory: object) -> None:
    async def close() -> list[bool]:
        fds = os.pipe()
        loop = asyncio.get_running_loop()
        reader, _ = await loop.connect_read_pipe(asyncio.Protocol, PipeEnd(fds[0]))
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, PipeEnd(fds[1]))
        reader.close()
        writer.close()
        for _ in range(5):
            await asyncio.sleep(0)
        return [is_open(fd) for fd in fds]

    with asyncio.Runner(loop_factory=factory) as runner:  # type: ignore[arg-type]  # both make loops
        assert runner.run(close()) == [False, False]
