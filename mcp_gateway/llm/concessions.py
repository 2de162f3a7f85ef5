"""What a request gives up when a server refuses it. Pure: a payload and the server's words enter, a smaller payload
leaves.

Compatible servers differ in what they know: each row is something that some of them refuse with 400 and that an
answer can do without, the least important first. `schemas` is no field: tools keep theirs, in plain keywords.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

REFUSALS: Final = frozenset({400, 404, 422, 501})
"""Statuses that may mean "I do not know this field"."""

_ROWS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("stream_options", re.compile(r"stream_options|include_usage")),
    ("parallel_tool_calls", re.compile(r"parallel_tool_calls|parallel tool")),
    ("tool_choice", re.compile(r"tool_choice|tool choice|tool-choice")),
    ("temperature", re.compile(r"temperature")),
    ("max_completion_tokens", re.compile(r"max_completion_tokens")),
    ("max_tokens", re.compile(r"max_tokens")),
    ("schemas", re.compile(r"grammar|schema")),
    ("tools", re.compile(r"\btools?\b|function.?call|\bfunctions?\b|tool.?call")),
)


_PLAIN: Final = frozenset({"type", "description", "enum", "required"})
"""Keywords that every server knows. llama.cpp makes no grammar of a `$ref` to itself, and refuses the request."""


def concession(payload: Mapping[str, Any], reason: str) -> str | None:
    """The first field of the payload that the server's words complain about."""
    words = reason.lower()
    offered = payload.keys() | _further(payload)
    return next((field for field, sign in _ROWS if field in offered and sign.search(words)), None)


def _further(payload: Mapping[str, Any]) -> set[str]:
    """`schemas`, while there is anything in them to give up."""
    tools = list(payload.get("tools", ()))
    return {"schemas"} if _in_plain_keywords(tools) != tools else set()


def without(payload: Mapping[str, Any], given_up: frozenset[str]) -> dict[str, Any]:
    """The payload less what was given up; `max_tokens` goes under its newer name first."""
    kept = {name: value for name, value in payload.items() if name not in given_up}
    if "max_tokens" in given_up and "max_tokens" in payload and "max_completion_tokens" not in given_up:
        kept["max_completion_tokens"] = payload["max_tokens"]
    if "schemas" in given_up and "tools" in kept:
        kept["tools"] = _in_plain_keywords(kept["tools"])
    if "tools" in given_up:
        for name in ("tool_choice", "parallel_tool_calls"):
            kept.pop(name, None)
    return kept


def _in_plain_keywords(tools: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Tools as Chat Completions or Responses has them; what their schemas no longer say is the server's to check."""
    return [
        {**tool, "function": _with_plain_schema(tool["function"])} if "function" in tool else _with_plain_schema(tool)
        for tool in tools
    ]


def _with_plain_schema(function: Mapping[str, Any]) -> dict[str, Any]:
    return {**function, "parameters": _plain(function.get("parameters"))}


def _plain(schema: Any) -> dict[str, Any]:
    """An object's members and a list's items stay; a combination or a reference becomes a schema for anything."""
    if not isinstance(schema, Mapping):
        return {}
    kept = {keyword: value for keyword, value in schema.items() if keyword in _PLAIN}
    if isinstance(properties := schema.get("properties"), Mapping):
        kept["properties"] = {name: _plain(inner) for name, inner in properties.items()}
    if "items" in schema:
        kept["items"] = _plain(schema["items"])
    return kept
