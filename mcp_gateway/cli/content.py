"""The content of a tool's result for a terminal: text as it is, anything binary as one line about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def shown(result: Mapping[str, Any]) -> list[str]:
    """One text per block; the structured content when there is nothing else."""
    blocks = [_block(block) for block in result.get("content") or [] if isinstance(block, dict)]
    if not blocks and (structured := result.get("structuredContent")) is not None:
        return [json.dumps(structured, ensure_ascii=False)]
    return blocks


def _block(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "image" | "audio" as kind:
            return f"[{kind} {block.get('mimeType')}, {_size(block.get('data'))} bytes]"
        case "resource_link":
            return f"[link {block.get('uri')} {block.get('name', '')}]"
        case "resource":
            return _resource(block.get("resource"))
    return json.dumps(block, ensure_ascii=False)


def _resource(resource: Any) -> str:
    if not isinstance(resource, dict):
        return "[resource]"
    if isinstance(text := resource.get("text"), str):
        return text
    size = _size(resource.get("blob"))
    return f"[resource {resource.get('uri')} {resource.get('mimeType', '')}, {size} bytes]"


def _size(data: Any) -> int:
    """Bytes behind a base64 text (RFC 4648, section 4)."""
    text = data if isinstance(data, str) else ""
    return len(text) * 3 // 4 - text[-2:].count("=")
