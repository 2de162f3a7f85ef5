"""Running one program of ours over a text: no environment, bounded output, killed when the waiting ends.

A command and its input enter; the exit status and the output leave.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import anyio
from anyio.abc import Process


@dataclass(frozen=True, slots=True)
class Finished:
    """`output` is what it wrote before it ended, or before it wrote too much; then `cut` is true."""

    status: int | None
    output: bytes
    cut: bool


async def run(command: Sequence[str], data: bytes, max_output_bytes: int) -> Finished:
    """Give it the data and wait for its end; the caller sets the deadline."""
    with anyio.CancelScope(shield=True):  # asyncio loses a process whose start is cancelled half-way
        process = await anyio.open_process(command, stderr=subprocess.DEVNULL, env={}, cwd="/")
    async with process, anyio.create_task_group() as group:
        group.start_soon(_send, process, data)
        output = await _receive(process, max_output_bytes)
        if cut := len(output) > max_output_bytes:
            process.kill()
        status = await process.wait()
    return Finished(status, output[:max_output_bytes], cut)


async def _send(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    # It may end without having read everything; its exit status says why.
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(data)
    await process.stdin.aclose()


async def _receive(process: Process, max_bytes: int) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    async for part in process.stdout:
        output += part
        if len(output) > max_bytes:
            break
    return bytes(output)
