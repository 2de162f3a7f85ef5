"""What an ask does while it runs, as MCP progress: few messages, each with all that has happened since the last.

Events of the loop enter; `notifications/progress` leave, with the events themselves in `_meta` for doors that stream
them on. Steps are told at once, pieces of text at most ten times a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from mcp_gateway.call import Sink
from mcp_gateway.llm.events import EVENTS_KEY, AskEvent, Delta, Done, Failed, Status, ToolAnswered, ToolCalled, as_json

INTERVAL_S: Final = 0.1
"""Ten messages a second are read by nobody faster (ask facts, 4.2)."""

MESSAGE_CHARS: Final = 2000


class AskProgress:
    """Tells one caller; a caller without a progress token hears nothing."""

    def __init__(self, sink: Sink, clock: Callable[[], float] = time.monotonic) -> None:
        self._sink = sink
        self._clock = clock
        self._waiting: list[AskEvent] = []
        self._told = 0
        self._told_at_s = float("-inf")

    def __call__(self, event: AskEvent) -> None:
        if self._sink.token is None or isinstance(event, Done):  # the result itself says the end
            return
        self._waiting.append(event)
        if not isinstance(event, Delta) or self._clock() - self._told_at_s >= INTERVAL_S:
            self.flush()

    def flush(self) -> None:
        """Tell what has not been told yet."""
        events = _joined(self._waiting)
        self._waiting.clear()
        if not events:
            return
        self._told += 1
        self._told_at_s = self._clock()
        message = "\n".join(_text(event) for event in events)[:MESSAGE_CHARS]
        meta = {EVENTS_KEY: [as_json(event) for event in events]}
        self._sink.notify("notifications/progress", {"progress": self._told, "message": message, "_meta": meta})


def _joined(events: list[AskEvent]) -> list[AskEvent]:
    """Pieces of text in a row are one piece."""
    joined: list[AskEvent] = []
    for event in events:
        if isinstance(event, Delta) and joined and isinstance(last := joined[-1], Delta):
            joined[-1] = Delta(last.text + event.text)
        else:
            joined.append(event)
    return joined


def _text(event: AskEvent) -> str:
    match event:
        case Status(text) | Delta(text) | Failed(text):
            return text
        case ToolCalled():
            return f"{event.id}: calling {event.tool}"
        case ToolAnswered():
            return f"{event.id}: {event.tool} {'answered' if event.ok else 'failed'} after {event.ms} ms"
    return ""
