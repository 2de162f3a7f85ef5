"""What is said to a model, and what it says back.

Plain data in the shape of Chat Completions, which every provider can translate from. Nothing here waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Message = Mapping[str, Any]
"""`{role, content}`; an assistant's may have `tool_calls`, a tool's has a `tool_call_id`."""

Messages = Sequence[Message]

Finish = Literal["stop", "tool_calls", "length", "content_filter"]
ToolChoice = Literal["auto", "none", "required"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for. `arguments` is JSON text as the model wrote it, right or wrong."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the service counted them; zero where it did not tell."""

    input: int = 0
    output: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.input + other.input, self.output + other.output)


@dataclass(frozen=True, slots=True)
class LLMResponse:
    """One turn of a model. `given_up` names what the server refused and the request then went without."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    usage: Usage = Usage()
    model: str = ""
    given_up: frozenset[str] = frozenset()
    cached: bool = False


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer as it is being written."""

    text: str


LLMChunk = TextDelta | LLMResponse
"""A stream is any number of pieces and then, once, the whole response."""


@dataclass(frozen=True, slots=True)
class Request:
    """One turn asked for.

    `scope` tells callers apart whose answers must not be mixed in a cache. `nonce` is the
    random mark of this conversation, which says nothing about the answer.
    """

    messages: Messages
    tools: Sequence[Mapping[str, Any]] = ()
    tool_choice: ToolChoice = "auto"
    temperature: float | None = None
    max_tokens: int | None = None
    scope: str = ""
    nonce: str = ""


def system(text: str) -> Message:
    return {"role": "system", "content": text}


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str, calls: Sequence[ToolCall] = ()) -> Message:
    said: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        said["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
    return said


def tool(call_id: str, text: str) -> Message:
    return {"role": "tool", "tool_call_id": call_id, "content": text}


def function(name: str, description: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tool as Chat Completions wants it."""
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def last_question(messages: Messages) -> str:
    """The text of the last message of the user."""
    asked = (message.get("content") for message in reversed(messages) if message.get("role") == "user")
    return next((text for text in asked if isinstance(text, str)), "")
