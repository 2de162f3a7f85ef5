"""Calls that have ended, for whoever hears of them."""

from __future__ import annotations

from typing import Any

from mcp_gateway.events import CallEnded


def ended(**changes: Any) -> CallEnded:
    facts: dict[str, Any] = {
        "at": 1_800_000_000.0,
        "duration_s": 0.0123456,
        "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span": "00f067aa0ba902b7",
        "principal": "local",
        "client": "test",
        "door": "http",
        "method": "tools/call",
        "server": "up",
        "tool": "echo",
        "outcome": "ok",
        "cached": None,
        "arguments": None,
        "policy": "abc",
    }
    return CallEnded(**facts | changes)
