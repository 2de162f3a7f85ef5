"""What a request gives up when a server refuses it. Pure: a payload and the server's words enter, a smaller payload
leaves.

Compatible servers differ in what they know: each row is something that some of them refuse with 400 and that an
answer can do without, the least important first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
    ("tools", re.compile(r"\btools?\b|function.?call|\bfunctions?\b|tool.?call")),
)


def concession(payload: Mapping[str, Any], reason: str) -> str | None:
    """The first field of the payload that the server's words complain about."""
    words = reason.lower()
    return next((field for field, sign in _ROWS if field in payload and sign.search(words)), None)


def without(payload: Mapping[str, Any], given_up: frozenset[str]) -> dict[str, Any]:
    """The payload less what was given up; `max_tokens` goes under its newer name first."""
    kept = {name: value for name, value in payload.items() if name not in given_up}
    if "max_tokens" in given_up and "max_tokens" in payload and "max_completion_tokens" not in given_up:
        kept["max_completion_tokens"] = payload["max_tokens"]
    if "tools" in given_up:
        for name in ("tool_choice", "parallel_tool_calls"):
            kept.pop(name, None)
    return kept
