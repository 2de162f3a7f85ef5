"""The frames that wait for one socket to take them: in order, bounded, one writer.

Whoever can wait puts a frame in once there is room; the reader's short answers cannot wait, and end the socket where
even they find none.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import anyio

ROOM: Final = 64
"""Frames that wait before those who can wait do (our choice)."""

ROOM_CHARS: Final = 4 * 1024 * 1024
"""The same in characters; one frame may be larger, so the most that waits is this and one result (our choice)."""

FULL: Final = 512
"""Frames that wait at the very most (our choice): a client that sends that much and reads nothing is not served."""


class OutboxFull(Exception):
    """The client does not take what it has asked for."""


class Outbox:
    """`put` and `post` at one end, `take` at the other."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._chars = 0
        self._arrived = anyio.Event()
        self._taken = anyio.Event()

    def __len__(self) -> int:
        return len(self._frames)

    async def put(self, frame: str) -> None:
        """Add a frame as soon as there is room; given up while it waits, it is not added."""
        while len(self._frames) >= ROOM or self._chars >= ROOM_CHARS:
            await self._taken.wait()
        self._add(frame)

    def post(self, frame: str) -> None:
        """Add a short frame at once. Raises OutboxFull."""
        if len(self._frames) >= FULL:
            raise OutboxFull
        self._add(frame)

    async def take(self) -> str:
        """The next frame."""
        while not self._frames:
            self._arrived = anyio.Event()
            await self._arrived.wait()
        frame = self._frames.popleft()
        self._chars -= len(frame)
        self._taken.set()
        self._taken = anyio.Event()
        return frame

    def _add(self, frame: str) -> None:
        self._frames.append(frame)
        self._chars += len(frame)
        self._arrived.set()
