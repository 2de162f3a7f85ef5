"""The last words of a child on its standard error, for operators.

A tail of what it wrote enters, one short line leaves. A caller never sees it: see
`errors.GatewayError`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcp_gateway.catalog.text import clean

MAX_CHARS: Final = 200
"""A listing shows it beside each server. Our choice."""


def last_words(tail: str, redact: Callable[[str], str]) -> str:
    """The last line of `tail` that shows anything, without secrets; empty when there is none."""
    # Secrets come last: an invisible character inside one, or a cut through it, would hide it from `redact`.
    visible = "".join(char for char in clean(tail) if char.isprintable() or char.isspace())
    lines = [" ".join(line.split()) for line in redact(visible).splitlines()]
    return next((line for line in reversed(lines) if line), "")[:MAX_CHARS]


def with_last_words(message: str, tail: str, redact: Callable[[str], str]) -> str:
    """What happened, and what the child said of it where it said anything."""
    words = last_words(tail, redact)
    return f"{message}; its last words: {words}" if words else message
