"""A client of `/ws` in the words of a test: frames as plain data, and the frames of one id."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WAIT_S = 10.0


class Socket:
    """One connection. What comes for others than a test asks about is kept in `heard`."""

    def __init__(self, wire: ClientConnection) -> None:
        self.wire = wire
        self.heard: list[dict[str, Any]] = []

    async def say(self, id: int | str, type: str, **members: Any) -> None:
        await self.send({"id": id, "type": type, **members})

    async def send(self, frame: Any) -> None:
        """Plain data, text or bytes."""
        await self.wire.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def next(self) -> dict[str, Any]:
        """The next frame, whosever it is. Raises ConnectionClosed."""
        with anyio.fail_after(WAIT_S):
            frame: dict[str, Any] = json.loads(await self.wire.recv())
        self.heard.append(frame)
        return frame

    async def end_of(self, id: int | str | None) -> dict[str, Any]:
        """The frame that ends a call, or refuses a frame."""
        while True:
            frame = await self.next()
            if frame["id"] == id and frame["type"] in ("result", "error"):
                return frame

    async def ask(self, id: int | str, type: str, **members: Any) -> dict[str, Any]:
        await self.say(id, type, **members)
        return await self.end_of(id)

    async def call(self, id: int | str, tool: str, **arguments: Any) -> dict[str, Any]:
        """The whole frame that ends the call."""
        return await self.ask(id, "call", tool=tool, arguments=arguments)

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end: how the gateway closed the socket."""
        try:
            while True:
                await self.next()
        except ConnectionClosed:
            return self.wire.close_code, self.wire.close_reason or ""


@asynccontextmanager
async def socket(origin: str, *, path: str = "/ws", **options: Any) -> AsyncIterator[Socket]:
    """A client at the door of the gateway; options are those of the library."""
    options = {"ping_interval": None, "compression": None, "max_size": None, "proxy": None, **options}
    async with connect(origin.replace("http", "ws", 1) + path, **options) as wire:
        yield Socket(wire)


def code_of(frame: dict[str, Any]) -> str:
    """The stable code of an `error` frame."""
    assert frame["type"] == "error", frame
    return str(frame["error"]["details"]["code"])


def text_of(frame: dict[str, Any]) -> str:
    """The text that a tool answered with."""
    assert frame["type"] == "result", frame
    (block,) = frame["result"]["content"]
    return str(block["text"])
