"""A small MCP server over pipes whose faults can be switched while it runs.

Run as a script: `moody_server.py FOLDER`. FOLDER/mood holds words, read anew for each
message; FOLDER/received gets every message, a line each, and FOLDER/starts a line per
start. FOLDER/tools.json, where there is one, is the list of tools. Standard library only, so
that it starts fast.

    at the start   exits, sleeps (3.5 s before the first message is read), deaf (to SIGTERM and to the end of input)
    the era        modern_only (refuses initialize), refuses_602 (the probe), dies_on_probe, silent_on_probe,
                   refuses_revision (the first probe, but names it), refuses_era (every probe, names an old one),
                   no_initialize, odd_version; else legacy, which answers the probe with -32601
    lists          fails_NAME, hangs_NAME (tools, prompts), pages, endless_pages, same_cursor, many_tools
    calls          hangs, dies, refuses, no_ping
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[1])
Message = dict[str, Any]
NOT_FOUND = {"code": -32601, "message": "Method not found"}
SEEN: list[str] = []
CAPABILITIES = {"tools": {"listChanged": True}, "prompts": {}, "resources": {"subscribe": True}, "logging": {}}


def mood() -> set[str]:
    return set((FOLDER / "mood").read_text().split())


def append(name: str, line: str) -> None:
    with (FOLDER / name).open("a") as file:
        file.write(line + "\n")


def send(message: Message) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def tool(name: str) -> Message:
    return {"name": name, "inputSchema": {"type": "object"}}


def list_result(request: Message, now: set[str]) -> Message | None:
    """One page of a list; None when it is not answered."""
    kind = request["method"].split("/")[0]
    if f"fails_{kind}" in now:
        return {"error": {"code": -32603, "message": "the lists are being repaired"}}
    if f"hangs_{kind}" in now:
        return None
    if request["method"] != "tools/list":
        return {"result": {"resourceTemplates" if "templates" in request["method"] else kind: []}}
    if (own := FOLDER / "tools.json").exists():
        return {"result": {"tools": json.loads(own.read_text())}}
    page = int(request.get("params", {}).get("cursor", "0"))
    result: Message = {"tools": [tool(f"tool_{page}")]}
    if "grown" in now:
        result["tools"].append(tool("grown"))
    if "endless_pages" in now or ("pages" in now and page < 2):
        result["nextCursor"] = str(page + 1)
    if "same_cursor" in now:
        result["nextCursor"] = "1"
    return {"result": result}


def unsupported(named: str) -> Message:
    return {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": [named, "1999-12-31"]}}


def opening(request: Message, now: set[str]) -> Message | None:
    if request["method"] == "server/discover":
        if "dies_on_probe" in now:
            os._exit(3)
        if "silent_on_probe" in now:
            return None
        if "refuses_602" in now:
            return {"error": {"code": -32602, "message": "initialize first"}}
        if "refuses_era" in now:
            return {"error": unsupported("2025-11-25")}
        if "refuses_revision" in now and not SEEN:
            SEEN.append("server/discover")
            return {"error": unsupported("2026-07-28")}
        if "modern_only" not in now:
            return {"error": NOT_FOUND}
        return {"result": {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}}
    if "no_initialize" in now:
        return None
    if "modern_only" in now:
        return {"error": NOT_FOUND}
    version = "1999-12-31" if "odd_version" in now else "2025-11-25"
    info = {"name": "moody", "version": "1"}
    return {"result": {"protocolVersion": version, "serverInfo": info, "capabilities": CAPABILITIES}}


def call(request: Message, now: set[str]) -> Message | None:
    if "dies" in now:
        os.write(2, b"token s3cret-token expired\n")
        os._exit(3)
    if "refuses" in now:
        return {"error": {"code": -32050, "message": "not today"}}
    for number in range(request["params"].get("arguments", {}).get("announce", 0)):
        send({"method": "notifications/tools/list_changed", "params": {"n": number}})
    if (steps := request["params"].get("arguments", {}).get("progress")) is not None:
        token = request["params"]["_meta"]["progressToken"]
        for step in range(steps):
            time.sleep(0.1)  # the mood: work that goes on for longer than its deadline, and tells so
            send({"method": "notifications/progress", "params": {"progressToken": token, "progress": step}})
    return None if "hangs" in now else {"result": {"content": [], "structuredContent": {"pid": os.getpid()}}}


def reply_to(request: Message) -> Message | None:
    now, method = mood(), request["method"]
    if method in ("server/discover", "initialize"):
        return opening(request, now)
    if method.endswith("/list"):
        return list_result(request, now)
    if method == "tools/call":
        return call(request, now)
    return None if method == "ping" and "no_ping" in now else {"result": {}}


def main() -> None:
    append("starts", str(os.getpid()))
    now = mood()
    if "exits" in now:
        sys.stderr.write("cannot find my settings\n")
        sys.exit(4)
    if "deaf" in now:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "sleeps" in now:
        time.sleep(3.5)  # the mood: a start that outlasts the wait for a first listing
    for line in sys.stdin:
        append("received", line.strip())
        message = json.loads(line)
        if "id" in message and "method" in message and (reply := reply_to(message)) is not None:
            send({"id": message["id"], **reply})
    if "deaf" in now:
        time.sleep(600)  # the mood: a process that stays when its input has ended


if __name__ == "__main__":
    main()
