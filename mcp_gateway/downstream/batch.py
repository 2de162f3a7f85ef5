"""JSON-RPC batches, which exist in 2025-03-26 alone (basic/index#batching; removed by 2025-06-18).

The bytes of an array enter, its messages leave one by one. Over HTTP their answers come back as the events of one
response, as they are ready; a batch without a request is accepted without a body.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio
import msgspec
from starlette.types import Message, Send

from mcp_gateway.downstream.intake import Refused
from mcp_gateway.downstream.lane_stream import LaneStream
from mcp_gateway.errors import INVALID_REQUEST
from mcp_gateway.wire import Malformed, Raw, fields, loads

REVISION: Final = "2025-03-26"

MOST: Final = 64
"""Messages of one batch (our choice): each becomes a call of its own."""

Post = Callable[[bytes, Send], Coroutine[Any, Any, None]]
"""One message to whoever answers messages."""

_decode: Final = msgspec.json.Decoder(list[Raw]).decode
_DATA: Final = b"data: "


def is_batch(body: bytes) -> bool:
    return body.lstrip(b" \t\r\n").startswith(b"[")


def messages(body: bytes) -> list[bytes]:
    """Raises Refused: no array of messages, too many of them, or one that opens a session (basic/lifecycle)."""
    try:
        batch = [bytes(raw) for raw in _decode(body)]
    except (msgspec.MsgspecError, RecursionError, ValueError):
        raise Refused(-32700, "Parse error: not valid JSON") from None
    if not batch or len(batch) > MOST:
        raise Refused(INVALID_REQUEST, f"Invalid request: a batch holds 1 to {MOST} messages")
    if any(_method(message) == "initialize" for message in batch):
        raise Refused(INVALID_REQUEST, "Invalid request: initialize cannot be part of a batch")
    return batch


def _method(message: bytes) -> Any:
    try:
        return loads(fields(message).get("method", Raw(b"null")))
    except Malformed:
        return None


async def answer(batch: list[bytes], post: Post, send: Send, session: str) -> None:
    """Post every message at once, and pass on what is answered."""
    stream = LaneStream(send, session)
    async with anyio.create_task_group() as group:
        for message in batch:
            group.start_soon(post, message, _Pieces(stream).take)
    await stream.end()


class _Pieces:
    """One response that becomes events of the batch's."""

    def __init__(self, stream: LaneStream) -> None:
        self._stream = stream
        self._is_stream = False
        self._body = b""

    async def take(self, event: Message) -> None:
        if event["type"] == "http.response.start":
            self._is_stream = dict(event["headers"]).get(b"content-type", b"").startswith(b"text/event-stream")
        elif self._is_stream:
            for line in event.get("body", b"").split(b"\r\n"):
                if line.startswith(_DATA) and len(line) > len(_DATA):
                    await self._stream.event(line.removeprefix(_DATA))
        else:
            self._body += event.get("body", b"")
            if self._body and not event.get("more_body", False):
                await self._stream.event(self._body)
