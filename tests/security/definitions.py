"""Tool definitions for tests of pins."""

from __future__ import annotations

import json
from typing import Any

from mcp_gateway.security.pins import Offered, digest
from msgspec import Raw

FULL: dict[str, Any] = {
    "name": "echo",
    "title": "Echo",
    "description": "Says it again.",
    "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
    "outputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}


def fields(definition: dict[str, Any]) -> dict[str, Raw]:
    return {name: Raw(json.dumps(value).encode()) for name, value in definition.items()}


def offered(**changed: Any) -> Offered:
    """The tool `echo`, or `name`, with some fields another."""
    raw = fields({**FULL, **changed})
    return Offered(changed.get("name", "echo"), digest(raw), raw)
