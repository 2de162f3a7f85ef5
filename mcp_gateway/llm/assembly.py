"""Pieces of a stream put together again. Pure: deltas enter as the server sent them, one response leaves.

Servers leave out the index of a call, or its id, send the name twice, or arguments as an object.
"""

from __future__ import annotations

import json
from typing import Any, Final

from mcp_gateway.llm.messages import Finish, LLMResponse, ToolCall, Usage

MAX_CHARS: Final = 1_000_000
"""One turn of a model; a stream that goes on is cut off (our choice: far above any model's longest answer)."""

_FINISHES: Final[dict[str, Finish]] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
}


class Assembly:
    """One turn being received. `is_complete` once the server has said why it stopped."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: list[_Call] = []
        self._finish: Finish | None = None
        self._chars = 0
        self.usage = Usage()
        self.model = ""

    @property
    def is_complete(self) -> bool:
        return self._finish is not None

    @property
    def is_full(self) -> bool:
        return self._chars >= MAX_CHARS

    def add_text(self, text: str) -> None:
        self._texts.append(text)
        self._chars += len(text)

    def add_call(self, index: int | None, id: str | None, name: str | None, arguments: Any) -> None:
        call = self._place(index, id)
        call.name = call.name or (name or "")
        text = argument_text(arguments)
        call.arguments.append(text)
        self._chars += len(text)

    def finish(self, reason: str | None) -> None:
        """Told by the server; reasons of its own count as a plain end."""
        if reason:
            self._finish = _FINISHES.get(reason, "stop")

    def cut(self) -> None:
        self._finish = "length"

    def response(self) -> LLMResponse:
        calls = tuple(ToolCall(call.id, call.name, "".join(call.arguments)) for call in self._calls)
        return LLMResponse("".join(self._texts), calls, self._finish or "stop", self.usage, self.model)

    def _place(self, index: int | None, id: str | None) -> _Call:
        """1. by index  2. a new id opens a new call  3. neither: it continues the last one."""
        if index is not None:
            found = next((call for call in self._calls if call.index == index), None)
        elif id and all(call.id != id for call in self._calls):
            found = None
        else:
            found = next(
                (call for call in self._calls if id and call.id == id), self._calls[-1] if self._calls else None
            )
        if found is None:
            found = _Call(index, id or "")
            self._calls.append(found)
        found.id = found.id or (id or "")
        return found


class _Call:
    def __init__(self, index: int | None, id: str) -> None:
        self.index = index
        self.id = id
        self.name = ""
        self.arguments: list[str] = []


def argument_text(arguments: Any) -> str:
    """Arguments as JSON text; some servers send the object itself."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments)


def plain_text(content: Any) -> str:
    """Content as text; some servers send a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""
