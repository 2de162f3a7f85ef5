"""The one form that asks a person about all calls of a round, and how its answer is read. Pure.

Forms are `elicitation/create` in the plainest shape, which every revision since 2025-06-18 knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp_gateway.catalog.text import clean
from mcp_gateway.llm.result import redacted
from mcp_gateway.llm.state import Planned
from mcp_gateway.llm.toolbox import Effect

CONFIRM_KEY: Final = "io.mcp-gateway/confirm"
"""In a request's `_meta`: "auto" makes the calls that need a person's word without asking, for keys that may execute.
Not an argument of the tool, so that no model can set it."""

METHOD = "elicitation/create"
MAX_LINE_CHARS = 400


def form(calls: Sequence[Planned]) -> dict[str, Any]:
    """The params of the question: a switch for each call, off unless the person turns it on."""
    lines = "\n".join(f"- {call.id}: {_line(call)}" for call in calls)
    return {
        "message": f"The model wants to make calls that can change something. Which of them may be made?\n{lines}",
        "requestedSchema": {
            "type": "object",
            "properties": {call.id: {"type": "boolean", "title": _title(call), "default": False} for call in calls},
            "required": [call.id for call in calls],
        },
    }


def approvals(answer: Any, calls: Sequence[Planned]) -> dict[str, bool]:
    """What the person allowed. Only an accepted form counts, and only a plain true in it."""
    accepted = isinstance(answer, dict) and answer.get("action") == "accept"
    content = answer.get("content") if accepted else None
    chosen: Mapping[str, Any] = content if isinstance(content, dict) else {}
    return {call.id: chosen.get(call.id) is True for call in calls}


def _title(call: Planned) -> str:
    is_destructive = call.tool is not None and call.tool.effect is Effect.DESTRUCTIVE
    return f"Allow {call.name}" + (" (may destroy something)" if is_destructive else "")


def _line(call: Planned) -> str:
    """On one line, whatever the arguments hold: they may come from a stranger who wants to look like us."""
    arguments = " ".join(clean(json.dumps(redacted(call.arguments), ensure_ascii=False)).split())
    return f"{call.name} {arguments}"[:MAX_LINE_CHARS]
