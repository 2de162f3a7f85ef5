"""One call of a WebSocket: the frames of what happens during it, and the one that ends it.

A `Run` enters, frames leave in order through the socket's `Outbox`, which is waited for. Every failure is a frame.
"""

from __future__ import annotations

import logging
from typing import Final

import anyio

from mcp_gateway.call import Call, Client
from mcp_gateway.downstream.call_events import CallEvents, EventKind
from mcp_gateway.downstream.failures import structure, told
from mcp_gateway.downstream.frames import Run, data_frame, error_frame, result_frame
from mcp_gateway.downstream.outbox import Outbox
from mcp_gateway.gateway import Gateway

logger = logging.getLogger(__name__)

_TYPES: Final = {
    EventKind.PROGRESS: "progress",
    EventKind.STATUS: "progress",
    EventKind.TOOL_CALL: "tool_call",
    EventKind.TOOL_RESULT: "tool_result",
    EventKind.DELTA: "delta",
}
"""Frames of what happens during a call; log messages have none (design, WebSocket)."""


class SocketCall:
    """From its start to its end."""

    def __init__(self, frame: Run, client: Client, gateway: Gateway, outbox: Outbox) -> None:
        self._frame = frame
        self._call = Call("tools/call", dict(frame.params), client, deadline_s=frame.deadline_s)
        self._gateway = gateway
        self._outbox = outbox
        self._events = CallEvents(client.key)

    async def run(self) -> None:
        """Returns once the last frame is in the outbox; cancelled, it leaves none there."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._tell)
            end = await self._end()
            self._events.close()
        if self._events.dropped:
            logger.debug("websocket.events_dropped count=%d", self._events.dropped)
        await self._outbox.put(end)

    async def _tell(self) -> None:
        async for event in self._events:
            if (kind := _TYPES.get(event.kind)) is None:
                continue
            data = {"message": event.data["text"]} if event.kind is EventKind.STATUS else event.data
            await self._outbox.put(data_frame(self._frame.id, kind, data))

    async def _end(self) -> str:
        """The last frame."""
        try:
            raw = await self._gateway.route(self._call, self._events)
            return result_frame(self._frame.id, structure(raw) if self._frame.is_ask else raw)
        except Exception as failure:  # boundary: whatever is wrong in here costs one call, and `told` logs what it is
            return error_frame(self._frame.id, told(failure).body)
