"""Request bodies, read once and within bounds."""

from __future__ import annotations

from typing import Final

import anyio
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from mcp_gateway.errors import MessageTooLarge, TooSlow

BODY_WITHIN_S: Final = 20.0
"""A body that has not arrived by then does not come any more (security facts, 3.5: half-sent requests)."""


async def read_body(receive: Receive, max_bytes: int, within_s: float | None = None) -> bytes:
    """The whole body; `within_s` is BODY_WITHIN_S unless told.

    Raises:
        MessageTooLarge: above `max_bytes`.
        TooSlow: it took too long.
        ClientDisconnect: the client left meanwhile.
    """
    within_s = BODY_WITHIN_S if within_s is None else within_s
    pieces: list[bytes] = []
    length = 0
    with anyio.move_on_after(within_s):
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
    raise TooSlow(f"the request body did not arrive within {within_s:g} s")


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` first, and then whatever else comes: a disconnect."""
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return unread.pop() if unread else await receive()

    return again
