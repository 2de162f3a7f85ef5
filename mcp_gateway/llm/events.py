"""What can be followed while an ask is under way. Small and plain; a listener must not block."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Final

from mcp_gateway.llm.result import AskResult

EVENTS_KEY: Final = "io.mcp-gateway/ask-events"
"""Where progress notifications of an ask carry its events, in their `_meta`."""


@dataclass(frozen=True, slots=True)
class Status:
    """What is being done, in words."""

    type: ClassVar[str] = "status"
    text: str


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the model's text."""

    type: ClassVar[str] = "delta"
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A call is being made."""

    type: ClassVar[str] = "tool_call"
    id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A call has ended, made or not."""

    type: ClassVar[str] = "tool_result"
    id: str
    tool: str
    ok: bool
    ms: int
    cached: bool
    excerpt: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The model failed; a result with what is there follows."""

    type: ClassVar[str] = "error"
    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The end."""

    type: ClassVar[str] = "done"
    result: AskResult


AskEvent = Status | Delta | ToolCalled | ToolAnswered | Failed | Done
Emit = Callable[[AskEvent], None]


def as_json(event: AskEvent) -> dict[str, Any]:
    """The event as doors write it: its fields and its `type`."""
    if isinstance(event, Done):
        return {"type": event.type, "result": event.result.model_dump(mode="json")}
    return {"type": event.type, **asdict(event)}
