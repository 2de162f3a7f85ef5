"""What the upstream of the benchmarks says: an MCP server of the 2025-11-25 kind, by hand, as cheap as can be.

A JSON-RPC message enters, its answer leaves; None for what has none. `echo` gives its text back, padded to `bytes`;
`kept` is the same under a name that gateways may answer from their cache.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

REVISION = "2025-11-25"

_loads = msgspec.json.Decoder().decode
_dumps = msgspec.json.Encoder().encode

_ECHO = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "bytes": {"type": "integer"}},
    "required": ["text"],
}
CALLED = [{"name": name, "description": "Gives the text back.", "inputSchema": _ECHO} for name in ("echo", "kept")]


def listed(label: str, count: int) -> list[dict[str, Any]]:
    """Tools of a usual size, about 600 bytes each."""
    return [
        {
            "name": f"{label}_tool_{number:03d}",
            "title": f"Tool {number} of {label}",
            "description": f"Tool number {number} of {label}. Looks something up in a catalogue and gives back "
            "the rows that match, in pages, the most relevant ones first.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "description": "What to look for"},
                    "limit": {"type": "integer", "description": "At most so many rows", "default": 20},
                    "order": {"type": "string", "enum": ["asc", "desc"], "description": "How rows are sorted"},
                },
                "required": ["query"],
            },
        }
        for number in range(count)
    ]


class Answers:
    """`tools` are what is listed; `echo` and `kept` can be called whatever is listed."""

    def __init__(self, tools: list[dict[str, Any]]) -> None:
        self._listing = _dumps({"tools": tools})

    def to(self, message: bytes) -> bytes | None:
        asked = _loads(message)
        id = asked.get("id")
        if id is None or "method" not in asked:
            return None
        match asked["method"]:
            case "tools/call":
                arguments = asked["params"]["arguments"]
                text = arguments["text"] + _padding(arguments.get("bytes", 0))
                return _result(id, _dumps({"content": [{"type": "text", "text": text}], "isError": False}))
            case "tools/list":
                return _result(id, self._listing)
            case "initialize":
                return _result(id, _dumps(_hello()))
            case "ping":
                return _result(id, b"{}")
        error = {"code": -32601, "message": "Method not found"}
        return _dumps({"jsonrpc": "2.0", "id": id, "error": error})


def _hello() -> dict[str, Any]:
    return {
        "protocolVersion": REVISION,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "bench", "version": "1"},
    }


def _result(id: int | str, result: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (_dumps(id), result)


@lru_cache(maxsize=8)
def _padding(size: int) -> str:
    return "abcdefghijklmnopqrstuvwxyz 01234" * (size // 32) + "x" * (size % 32)
