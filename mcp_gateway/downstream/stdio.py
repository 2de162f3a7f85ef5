"""The stdio door: standard input and output as a stream of JSON-RPC lines.

Nothing but JSON-RPC reaches standard output: the descriptor is kept for the
protocol and its number then points at standard error, so a stray `print` in any
library lands there. Pipes are the event loop's own, with no thread that could hold
up the end of the process; files, which no loop can wait for, are read and written
as they are.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse

from mcp_gateway.downstream.arrival import Line
from mcp_gateway.downstream.enclosure import closed, opened
from mcp_gateway.downstream.intake import Refused, read_message, too_large
from mcp_gateway.downstream.pipes import Input, Output, open_input, open_output
from mcp_gateway.upstream.dispatch.framer import LineFramer, Overlong
from mcp_gateway.wire import RequestId

logger = logging.getLogger(__name__)

Incoming = SessionMessage | Exception
"""What the SDK's loop reads."""

LAST_ANSWERS_S = 0.5
"""What calls in flight get when the input ends: `printf ... | mcp-gateway` is answered, and stopping takes < 1.5 s."""

LAST_WRITES_S = 0.3
"""What a slow reader gets to take the last answers."""

LISTEN = "subscriptions/listen"
"""It is answered when it is ended, so nobody waits for its answer."""


def claim() -> tuple[int, int]:
    """Keep descriptors 0 and 1 for the protocol; their numbers then mean nothing and standard error."""
    input_fd, output_fd = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return input_fd, output_fd


@asynccontextmanager
async def stdio_streams(
    input_fd: int, output_fd: int, max_message_bytes: int, stopping: anyio.Event
) -> AsyncIterator[tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]]:
    """The stream pair the SDK serves from; owns both descriptors.

    Reading ends with the input, or when `stopping` is set; requests that were read
    and not answered yet then get LAST_ANSWERS_S.
    """
    incoming_send, incoming = anyio.create_memory_object_stream[Incoming]()
    outgoing, outgoing_receive = anyio.create_memory_object_stream[SessionMessage]()
    unanswered = Unanswered()
    async with open_input(input_fd) as source, open_output(output_fd) as sink, incoming, outgoing:
        reader = _Reader(source, sink, incoming_send, LineFramer(max_message_bytes), max_message_bytes, unanswered)
        async with anyio.create_task_group() as group:
            group.start_soon(reader.run, stopping)
            written = anyio.Event()
            group.start_soon(_write, outgoing_receive, sink, unanswered, written)
            yield incoming, outgoing
            outgoing.close()
            with anyio.move_on_after(LAST_WRITES_S):
                await written.wait()
            group.cancel_scope.cancel()


class Unanswered:
    """Requests that were read and whose answer was not written yet."""

    def __init__(self) -> None:
        self._ids: set[RequestId] = set()
        self._none = anyio.Event()
        self._none.set()

    def read(self, message: JSONRPCMessage) -> None:
        """A message came in: a request is owed an answer, one that is cancelled is not."""
        if isinstance(message, JSONRPCRequest) and message.method != LISTEN:
            if not self._ids:
                self._none = anyio.Event()
            self._ids.add(message.id)
        elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
            self._settle((message.params or {}).get("requestId"))

    def written(self, message: JSONRPCMessage) -> None:
        if isinstance(message, JSONRPCResponse | JSONRPCError):
            self._settle(message.id)

    async def none(self) -> None:
        await self._none.wait()

    def _settle(self, id: object) -> None:
        if isinstance(id, str | int):
            self._ids.discard(id)
        if not self._ids:
            self._none.set()


class _Reader:
    """Lines in; messages to the SDK; an error at once for whatever is no message."""

    def __init__(
        self,
        source: Input,
        sink: Output,
        incoming: MemoryObjectSendStream[Incoming],
        framer: LineFramer,
        max_message_bytes: int,
        unanswered: Unanswered,
    ) -> None:
        self._source = source
        self._sink = sink
        self._incoming = incoming
        self._framer = framer
        self._max_message_bytes = max_message_bytes
        self._unanswered = unanswered

    async def run(self, stopping: anyio.Event) -> None:
        try:
            async with self._incoming:
                await self._until_end(stopping)
                with anyio.move_on_after(LAST_ANSWERS_S):
                    await self._unanswered.none()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, BrokenPipeError, ConnectionResetError):
            logger.debug("stdio.reader_stopped")

    async def _until_end(self, stopping: anyio.Event) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when, stopping, group.cancel_scope)
            while chunk := await self._source.read():
                for line in self._framer.feed(chunk):
                    await self._deliver(line)
            for line in self._framer.feed(b"\n"):  # a last line may end with the input
                await self._deliver(line)
            group.cancel_scope.cancel()

    async def _deliver(self, line: bytes | Overlong) -> None:
        try:
            if isinstance(line, Overlong):
                raise too_large(self._max_message_bytes)
            message = read_message(line)
            if isinstance(message, JSONRPCResponse | JSONRPCError):
                message = read_message(closed(line))
        except Refused as refused:
            await self._sink.write(refused.reply + b"\n")
            return
        self._unanswered.read(message)
        await self._incoming.send(SessionMessage(message, ServerMessageMetadata(request_context=Line.of(line))))


async def _cancel_when(stopping: anyio.Event, scope: anyio.CancelScope) -> None:
    await stopping.wait()
    scope.cancel()


async def _write(
    outgoing: MemoryObjectReceiveStream[SessionMessage], sink: Output, unanswered: Unanswered, written: anyio.Event
) -> None:
    """Every outgoing message as a line. Without a reader the door closes: the SDK's loop sees its stream closed."""
    try:
        async with outgoing:
            async for message in outgoing:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                await sink.write(opened(text.encode()) + b"\n")
                unanswered.written(message.message)
    except (BrokenPipeError, ConnectionResetError):
        print("the client closed its end of standard output", file=sys.stderr)
    finally:
        written.set()
