"""Request bodies, read once and within bounds."""

from __future__ import annotations

from typing import Final

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from mcp_gateway.errors import InvalidParams, MessageTooLarge

BODY_WITHIN_S: Final = 20.0
"""A body that has not arrived by then does not come any more (security facts, 3.5: half-sent requests)."""


async def read_body(receive: Receive, max_bytes: int) -> bytes:
    """The whole body.

    Raises:
        MessageTooLarge: above `max_bytes`.
        InvalidParams: it took too long.
        ClientDisconnect: the client left meanwhile.
    """
    pieces: list[bytes] = []
    length = 0
    with anyio.move_on_after(BODY_WITHIN_S):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            pieces.append(message.get("body", b""))
            length += len(pieces[-1])
            if length > max_bytes:
                raise MessageTooLarge(f"the request body is above {max_bytes} bytes (limits.max_body)")
            if not message.get("more_body", False):
                return b"".join(pieces)
    raise InvalidParams(f"the request body did not arrive within {BODY_WITHIN_S:.0f} s")


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` first, and then whatever else comes: a disconnect."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return unread.pop() if unread else await receive()

    return again
