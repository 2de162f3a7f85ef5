"""A stdio MCP server whose tools answer oddly, for what people see on the command line.

Run as a program: `tool_box.py [NAME ...]` offers the tools named, all without names. It
speaks the handshake era and only needs the standard library, so that it starts fast.
`SECRET` in its environment is printed on its standard error, as careless servers do.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

PNG = "iVBORw0KGgo="
"""Eight bytes."""

ESCAPES = "red \x1b[31m, title \x1b]0;owned\x07, C1 \x9b2J, bidi \u202e, line\r\nend"

KINDS: dict[str, Any] = {
    "type": "object",
    "$defs": {"Count": {"type": "integer"}, "Loop": {"$ref": "#/$defs/Loop"}},
    "properties": {
        "text": {"type": "string"},
        "number": {"type": "number"},
        "count": {"$ref": "#/$defs/Count"},
        "flag": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "counts": {"type": "array", "items": {"type": "integer"}},
        "thing": {"type": "object"},
        "colour": {"enum": ["red", "blue", 3]},
        "perhaps": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "either": {"oneOf": [{"type": "array"}, {"type": "string"}]},
        "both": {"allOf": [{"$ref": "#/$defs/Count"}]},
        "listed": {"type": ["integer", "null"]},
        "loop": {"$ref": "#/$defs/Loop"},
    },
}

Result = dict[str, Any]


def text(value: str, **more: Any) -> Result:
    return {"content": [{"type": "text", "text": value}], **more}


def kinds(arguments: dict[str, Any]) -> Result:
    return text(json.dumps(arguments, sort_keys=True, ensure_ascii=False))


def escapes(arguments: dict[str, Any]) -> Result:
    return text(ESCAPES)


def binary(arguments: dict[str, Any]) -> Result:
    blob = {"uri": "test://blob", "mimeType": "application/x-odd", "blob": PNG}
    note = {"uri": "test://note", "text": "a note"}
    return {
        "content": [
            {"type": "image", "mimeType": "image/png", "data": PNG},
            {"type": "resource", "resource": blob},
            {"type": "resource", "resource": note},
            {"type": "resource_link", "uri": "test://far", "name": "far"},
        ]
    }


def structured(arguments: dict[str, Any]) -> Result:
    return {"content": [], "structuredContent": {"degrees": 21}}


def fail(arguments: dict[str, Any]) -> Result:
    return text("it went wrong", isError=True)


def slow(arguments: dict[str, Any]) -> Result:
    time.sleep(float(arguments.get("seconds", 60)))
    return text("slept")


TOOLS: dict[str, Callable[[dict[str, Any]], Result]] = {
    "kinds": kinds,
    "escapes": escapes,
    "binary": binary,
    "structured": structured,
    "fail": fail,
    "slow": slow,
    "refuse": fail,
}


def definition(name: str) -> dict[str, Any]:
    schema = KINDS if name == "kinds" else {"type": "object"}
    return {"name": name, "description": f"The tool {name}.", "inputSchema": schema}


def answer(message: dict[str, Any], offered: list[str]) -> dict[str, Any]:
    """`result` or `error` of one request."""
    params = message.get("params") or {}
    match message["method"]:
        case "initialize":
            info = {"name": "tool-box", "version": "1"}
            return {"result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}}
        case "ping":
            return {"result": {}}
        case "tools/list":
            return {"result": {"tools": [definition(name) for name in offered]}}
        case "tools/call" if params["name"] == "refuse":
            return {"error": {"code": -32000, "message": "not \x1b[31mtoday"}}
        case "tools/call":
            return {"result": TOOLS[params["name"]](params.get("arguments") or {})}
    return {"error": {"code": -32601, "message": "Method not found"}}


def main(names: list[str]) -> None:
    if secret := os.environ.get("SECRET"):
        print(f"starting with {secret}", file=sys.stderr, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if "id" in message and "method" in message:
            reply = {"jsonrpc": "2.0", "id": message["id"], **answer(message, names or list(TOOLS))}
            print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
