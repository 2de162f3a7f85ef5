"""What the misbehaving upstreams have in common: how they speak while nothing is wrong, and when something is.

A fault is in force while the file `broken` is in the upstream's folder. Everything
received is kept in `received`, a JSON object a line. Standard library only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Message = dict[str, Any]
Reply = Callable[[Message], Message | None]

TOOL = "work"
HEALTHY = "none"
"""The mode without a fault."""

LAST_WORDS = "token s3cret"
"""What a child writes to stderr before it crashes: for operators, never for callers."""

CAPABILITIES = {"tools": {"listChanged": True}, "logging": {}}
INFO = {"name": "faulty", "version": "1"}

_POLL_S = 0.01


class Control:
    """The folder by which a test breaks an upstream, heals it and sees what it heard."""

    def __init__(self, folder: Path, mode: str = HEALTHY) -> None:
        self.mode = mode
        self._broken = folder / "broken"
        self._received = folder / "received"

    @property
    def broken(self) -> bool:
        return self._broken.exists()

    def break_it(self) -> None:
        self._broken.touch()

    def heal(self) -> None:
        self._broken.unlink(missing_ok=True)

    def until_healed(self) -> None:
        while self.broken:
            time.sleep(_POLL_S)

    def until_broken(self) -> None:
        while not self.broken:
            time.sleep(_POLL_S)

    def record(self, message: Message) -> None:
        with self._received.open("a") as file:
            file.write(json.dumps(message) + "\n")

    def received(self) -> list[Message]:
        """Every message so far, those of earlier processes too."""
        try:
            lines = self._received.read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("\n")]


def healthy(message: Message) -> Message | None:
    """The reply of a legacy server in good health; None to what wants none."""
    if "id" not in message or "method" not in message:
        return None
    results = {"initialize": _opening, "tools/list": _listing, "tools/call": _work, "ping": _nothing}
    if message["method"] not in results:
        return reply(message, error={"code": -32601, "message": "Method not found"})
    return reply(message, result=results[message["method"]](message))


def reply(request: Message, **member: Any) -> Message:
    return {"jsonrpc": "2.0", "id": request["id"], **member}


def tool(name: str = TOOL, **more: Any) -> Message:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


def result(request: Message, text: str = "") -> Message:
    """What the tool answers with: `text`, or the ticket it was called with."""
    return {"content": [{"type": "text", "text": text or request["params"].get("arguments", {}).get("ticket", "")}]}


def _opening(request: Message) -> Message:
    return {"protocolVersion": "2025-11-25", "serverInfo": INFO, "capabilities": CAPABILITIES}


def _listing(request: Message) -> Message:
    return {"tools": [tool()]}


def _work(request: Message) -> Message:
    return result(request)


def _nothing(request: Message) -> Message:
    return {}
