"""What happens during one call, as plain events, for doors that are not MCP: the event stream of REST, the WebSocket.

Notifications of the call enter through the `Sink`; typed events leave in order, to one reader. The queue is bounded, so
a slow reader costs itself something and nobody else. How events are written is the door's business.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import anyio

from mcp_gateway.downstream.plain import plain
from mcp_gateway.errors import METHOD_NOT_FOUND, RpcError
from mcp_gateway.llm.events import EVENTS_KEY
from mcp_gateway.wire import Raw, RawParams

QUEUE: Final = 256
"""Events held for a slow reader, per call (our choice, as for clients of MCP)."""


class EventKind(StrEnum):
    """What an event tells: of any call `progress` and `log`, of an `ask` the others (design, REST)."""

    PROGRESS = "progress"
    LOG = "log"
    STATUS = "status"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    DELTA = "delta"


_OF_ASK: Final[Mapping[str, EventKind]] = {
    "status": EventKind.STATUS,
    "tool_call": EventKind.TOOL_CALL,
    "tool_result": EventKind.TOOL_RESULT,
    "delta": EventKind.DELTA,
    "error": EventKind.STATUS,  # the model failed; the end of the stream tells of that, too
}

_OF_METHOD: Final[Mapping[str, EventKind]] = {
    "notifications/progress": EventKind.PROGRESS,
    "notifications/message": EventKind.LOG,
}


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One thing that happened; `data` is plain JSON data.

    progress: `{progress, total?, message?}`. log: `{level, logger?, data}`. status, delta: `{text}`.
    tool_call: `{id, tool, arguments}`. tool_result: `{id, tool, ok, ms, cached, excerpt}`.
    """

    kind: EventKind
    data: dict[str, Any] = field(default_factory=dict)


class CallEvents:
    """A `Sink` whose notifications are read with `async for`, until `close` and the queue is empty.

    A full queue loses its oldest progress, else its oldest event; `dropped` counts them. Pieces of a model's text that
    wait in a row become one, so no text is lost to a slow reader.
    """

    def __init__(self, owner: str) -> None:
        """`owner` is the `Client.key` of the call."""
        self.owner = owner
        self.token: str | int | None = owner
        self.dropped = 0
        self._waiting: deque[CallEvent] = deque()
        self._changed = anyio.Event()
        self._closed = False

    # -- what the call says --------------------------------------------------------------------------------------

    def notify(self, method: str, params: RawParams) -> None:
        for event in events_of(method, params):
            self._put(event)

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(METHOD_NOT_FOUND, f"declined: this door has nobody to ask: {method}")

    def close(self) -> None:
        """The call has ended: what waits can still be read, then reading ends."""
        self._closed = True
        self._changed.set()

    def _put(self, event: CallEvent) -> None:
        if self._closed:
            return
        last = self._waiting[-1] if self._waiting else None
        if event.kind is EventKind.DELTA and last is not None and last.kind is EventKind.DELTA:
            self._waiting[-1] = CallEvent(EventKind.DELTA, {"text": last.data["text"] + event.data["text"]})
            return
        if len(self._waiting) >= QUEUE:
            self._drop()
        self._waiting.append(event)
        self._changed.set()

    def _drop(self) -> None:
        self.dropped += 1
        for place, event in enumerate(self._waiting):
            if event.kind is EventKind.PROGRESS:
                del self._waiting[place]
                return
        self._waiting.popleft()

    # -- what its reader hears -----------------------------------------------------------------------------------

    def __aiter__(self) -> CallEvents:
        return self

    async def __anext__(self) -> CallEvent:
        """The next event; giving up waiting for it loses none."""
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()
        return self._waiting.popleft()


def events_of(method: str, params: RawParams) -> list[CallEvent]:
    """What a notification tells; nothing when it is none of a call.

    An `ask` of ours tells its events as plain data. What an upstream puts there is raw, and stays its progress.
    """
    if (kind := _OF_METHOD.get(method)) is None:
        return []
    meta = params.get("_meta")
    if kind is EventKind.PROGRESS and isinstance(meta, dict) and EVENTS_KEY in meta:
        return [_of_ask(event) for event in meta[EVENTS_KEY]]
    return [CallEvent(kind, {name: value for name, value in plain(params).items() if name != "progressToken"})]


def _of_ask(event: Mapping[str, Any]) -> CallEvent:
    data = {name: value for name, value in event.items() if name != "type"}
    return CallEvent(_OF_ASK[event["type"]], data)
