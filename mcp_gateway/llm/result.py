"""What an ask ends with, whatever happened. The shape is published as the tool's output schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, Field

from mcp_gateway.llm.bounds import StopReason
from mcp_gateway.llm.service import Mode

EXCERPT_CHARS: Final = 300
ARGUMENT_CHARS: Final = 200
REDACTED: Final = "[redacted]"

_SECRET_NAME: Final = re.compile(r"pass|secret|token|credential|authorization|api.?key|private.?key|cookie", re.I)


class CallReport(BaseModel):
    """One call of a tool, made or not."""

    id: str
    tool: str
    server: str | None = Field(default=None, description="Null for a built-in tool.")
    arguments: dict[str, Any] = Field(default_factory=dict, description="Long and secret values are left out.")
    ok: bool = False
    ms: int = 0
    cached: bool = Field(default=False, description="Answered from the gateway's cache, or by an earlier call.")
    denied: bool = Field(default=False, description="Not made, since nobody confirmed it.")
    error: str | None = None
    result_excerpt: str = ""

    def follow(self, first: CallReport) -> None:
        """End as the earlier call did, which this one repeats."""
        self.ok, self.error, self.denied, self.cached = first.ok, first.error, first.denied, True


class TokensUsed(BaseModel):
    """As the model's service counted them."""

    input: int = 0
    output: int = 0


class AskResult(BaseModel):
    """An answer and how it came about."""

    answer: str
    model: str = ""
    mode: Mode
    stop_reason: StopReason
    rounds: int = Field(default=0, description="Turns of the model that called tools.")
    tool_calls: list[CallReport] = Field(default_factory=list)
    usage: TokensUsed = Field(default_factory=TokensUsed)
    citations: list[str] = Field(default_factory=list, description="Ids of the calls that the answer names.")
    notes: list[str] = Field(default_factory=list, description="What the caller should know about the answer.")
    error: str | None = Field(default=None, description="What went wrong with the model.")
    error_code: str | None = Field(default=None, description="The stable code of that, if it has one.")


def cited(answer: str, calls: list[CallReport]) -> list[str]:
    """The ids in brackets that stand for calls which brought something."""
    known = {call.id for call in calls if call.ok}
    return [id for id in dict.fromkeys(re.findall(r"\bcall_\d+\b", answer)) if id in known]


def redacted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments fit to be shown and logged."""
    return {name: _redacted(name, value) for name, value in arguments.items()}


def _redacted(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name):
        return REDACTED
    match value:
        case str() if len(value) > ARGUMENT_CHARS:
            return value[:ARGUMENT_CHARS] + "…"
        case dict():
            return redacted(value)
        case list():
            return [_redacted(name, item) for item in value[:20]]
    return value
