"""Strangers' words, kept apart from ours. Pure.

What a tool answered becomes text between marks that nobody outside can guess; what a model answered loses what would
be fetched by whoever shows it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway.catalog.text import clean

CUT: Final = "\n[cut: the result is longer]"

_MARKDOWN_IMAGE: Final = re.compile(r"!\[([^\]]*)\](?:\([^)]*\)?|\[[^\]]*\])?")
_HTML_FETCHED: Final = re.compile(
    r"<\s*/?\s*(?:img|iframe|script|style|link|object|embed|video|audio|source|svg|base|meta|form|input)\b[^>]*>?", re.I
)
_HTML_ATTRIBUTES: Final = re.compile(r"<([a-z][\w-]*)[\s/]+[^>]*>?", re.I)
"""Any other tag keeps its name only: `href`, `style` and `background` lead somewhere."""
_MARKDOWN_LINK: Final = re.compile(r"\[([^\]]+)\]\((\S+?)(?:\s+\"[^\"]*\")?\)")
_LINK_LEFT: Final = re.compile(r"\]\(")
_REFERENCE: Final = re.compile(r"^([ >]*)\[([^\]]+)\]:", re.M)
"""CommonMark 0.31, sections 4.7 and 6.3: where a link leads may stand anywhere, and its text may hold brackets."""


def new_nonce() -> str:
    """The mark of one conversation: 96 random bits."""
    return secrets.token_hex(12)


def fenced(text: str, call_id: str, nonce: str, max_chars: int) -> str:
    """A tool's text for the model: cleaned, cut, between the marks."""
    inner = clean(text).replace(nonce, "")
    if len(inner) > max_chars:
        inner = inner[:max_chars] + CUT
    return f"[tool output {call_id} {nonce}]\n{inner}\n[end of tool output {nonce}]"


def result_text(result: Mapping[str, Any]) -> str:
    """A `CallToolResult` as text; pictures, sounds and files are named only."""
    blocks = result.get("content")
    texts = [_block(block) for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    if not any(texts) and (structured := result.get("structuredContent")) is not None:
        return json.dumps(structured, ensure_ascii=False)
    return "\n".join(text for text in texts if text)


def _block(block: Mapping[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return str(block.get("text", ""))
        case "resource_link":
            return f"[resource {block.get('uri')}]"
        case "resource":
            resource = block.get("resource")
            text = resource.get("text") if isinstance(resource, dict) else None
            return text if isinstance(text, str) else "[a file that is not text]"
        case kind:
            return f"[{kind}]"


def shown(answer: str) -> str:
    """A model's answer for people: no image is loaded by showing it, and every link says where it leads.

    An image's address can carry anything the model has read to whoever owns the address.
    """
    text = _MARKDOWN_IMAGE.sub(lambda image: f"[image: {image[1]}]" if image[1] else "[image]", clean(answer))
    text = _HTML_ATTRIBUTES.sub(r"<\1>", _HTML_FETCHED.sub("", text))
    text = _MARKDOWN_LINK.sub(lambda link: link[2] if link[1] == link[2] else f"{link[1]} ({link[2]})", text)
    return _REFERENCE.sub(r"\1\2:", _LINK_LEFT.sub("] (", text))
