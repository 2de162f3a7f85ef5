"""The stdio door: standard input and output as a stream of JSON-RPC lines.

Nothing but JSON-RPC reaches standard output: the descriptor is kept for the
protocol and its number then points at standard error, so a stray `print` in any
library lands there. Reading and writing are asyncio's own pipes, with no thread
that could hold up the end of the process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from mcp_gateway.downstream.inflight import InFlight
from mcp_gateway.upstream.dispatch.framer import LineFramer, Overlong
from mcp_gateway.wire import Malformed, check, error_reply

logger = logging.getLogger(__name__)

Incoming = SessionMessage | Exception
"""What the SDK's loop reads."""

LAST_ANSWERS_S = 0.5
"""What calls in flight get when the input ends: `printf ... | mcp-gateway` is answered, and stopping takes < 1.5 s."""

_SETTLE_S = 0.02
"""From a line that was read to a call that counts as in flight."""

_CHUNK_BYTES = 64 * 1024
_PARSE_ERROR = b'{"code":-32700,"message":"Parse error"}'
_TOO_LARGE = b'{"code":-32600,"message":"message too large"}'


@asynccontextmanager
async def stdio_streams(
    max_message_bytes: int, in_flight: InFlight
) -> AsyncIterator[tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]]:
    """The stream pair the SDK serves from.

    Reading ends with standard input; calls that are `in_flight` then get a moment to be answered.
    """
    input_fd, output_fd = _claim()
    incoming_send, incoming = anyio.create_memory_object_stream[Incoming]()
    outgoing, outgoing_receive = anyio.create_memory_object_stream[SessionMessage]()
    writer = await _writer(output_fd)
    async with anyio.create_task_group() as group, incoming, outgoing:
        group.start_soon(_read, input_fd, incoming_send, writer, max_message_bytes, in_flight)
        group.start_soon(_write, outgoing_receive, writer)
        yield incoming, outgoing
        group.cancel_scope.cancel()


def _claim() -> tuple[int, int]:
    """Keep descriptors 0 and 1 for the protocol; their numbers then mean nothing and standard error."""
    input_fd, output_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return input_fd, output_fd


async def _writer(output_fd: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(
        asyncio.streams.FlowControlMixin, os.fdopen(output_fd, "wb", buffering=0)
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _read(
    input_fd: int,
    incoming: MemoryObjectSendStream[Incoming],
    writer: asyncio.StreamWriter,
    max_message_bytes: int,
    in_flight: InFlight,
) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(input_fd, "rb", buffering=0)
    )
    framer = LineFramer(max_message_bytes)
    try:
        async with incoming:
            while chunk := await reader.read(_CHUNK_BYTES):
                for line in framer.feed(chunk):
                    await _deliver(line, incoming, writer)
            with anyio.move_on_after(LAST_ANSWERS_S):
                await anyio.sleep(_SETTLE_S)
                await in_flight.none()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        logger.debug("stdio.reader_stopped")
    finally:
        transport.close()


async def _deliver(
    line: bytes | Overlong, incoming: MemoryObjectSendStream[Incoming], writer: asyncio.StreamWriter
) -> None:
    """Pass one message on; whatever is none gets an error at once, since silence costs a host its patience."""
    if isinstance(line, Overlong):
        writer.write(error_reply(None, _TOO_LARGE) + b"\n")
        return
    try:
        check(line)
        message = jsonrpc_message_adapter.validate_json(line, by_name=False)
    except (Malformed, ValidationError):
        writer.write(error_reply(None, _PARSE_ERROR) + b"\n")
        await writer.drain()
        return
    await incoming.send(SessionMessage(message))


async def _write(outgoing: MemoryObjectReceiveStream[SessionMessage], writer: asyncio.StreamWriter) -> None:
    try:
        async with outgoing:
            async for message in outgoing:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                writer.write(text.encode() + b"\n")
                await writer.drain()
    except (BrokenPipeError, ConnectionResetError):
        print("the client closed its end of standard output", file=sys.stderr)
    finally:
        writer.close()
