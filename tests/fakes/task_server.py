"""A stdio server of 2025-11-25 whose tools run only as tasks. Standard library only.

`slow` ends once it was asked for its state twice, `asks` asks a person, `endless` never ends, `broken` makes no task;
`seen` is an ordinary tool that tells which methods came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.stdio_server import Message, answer, receive, receive_reply, send

REVISION = "2025-11-25"
OFFERS: dict[str, Any] = {"tools": {}, "tasks": {"cancel": {}, "requests": {"tools": {"call": {}}}}}
seen: list[str] = []
states: dict[str, int] = {}
waiting: dict[str, Message] = {}


def text(value: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": value}]}


def refuse(request: Message) -> None:
    send({"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "only as a task"}})


def task(id: str, status: str = "working") -> dict[str, Any]:
    at = "2026-11-24T00:00:00Z"
    return {"taskId": id, "status": status, "createdAt": at, "lastUpdatedAt": at, "ttl": None, "pollInterval": 100}


def tool(name: str) -> dict[str, Any]:
    support = "forbidden" if name == "seen" else "required"
    return {"name": name, "inputSchema": {"type": "object"}, "execution": {"taskSupport": support}}


def call(request: Message) -> None:
    name = request["params"]["name"]
    if name == "seen":
        answer(request, text(" ".join(seen)))
    elif "task" not in request["params"]:
        refuse(request)
    elif name == "broken":
        answer(request, text("done at once"))
    else:
        states[name] = 0
        answer(request, {"task": task(name)})


def get(request: Message) -> None:
    id = request["params"]["taskId"]
    states[id] += 1
    answer(request, {**task(id), "statusMessage": f"step {states[id]}"})
    if id == "slow" and states[id] == 2:
        answer(waiting.pop(id), text("slow, but done"))


def result(request: Message) -> None:
    id = request["params"]["taskId"]
    if id != "asks":
        waiting[id] = request
        return
    meta = {"io.modelcontextprotocol/related-task": {"taskId": id}}
    schema = {"type": "object", "properties": {}}
    params = {"mode": "form", "message": "sure?", "requestedSchema": schema, "_meta": meta}
    send({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": params})
    answer(request, text(receive_reply()["result"]["action"]))


def main() -> None:
    names = ("slow", "asks", "endless", "broken", "seen")
    info = {"name": "tasks", "version": "1"}
    opening = {"protocolVersion": REVISION, "capabilities": OFFERS, "serverInfo": info}
    answers: dict[str, Callable[[Message], None]] = {
        "initialize": lambda request: answer(request, opening),
        "tools/list": lambda request: answer(request, {"tools": [tool(name) for name in names]}),
        "tools/call": call,
        "tasks/get": get,
        "tasks/result": result,
        "tasks/cancel": lambda request: answer(request, task(request["params"]["taskId"], "cancelled")),
    }
    while (message := receive()) is not None:
        if "method" not in message:
            continue
        seen.append(message["method"])
        if "id" in message:
            answers.get(message["method"], refuse)(message)


if __name__ == "__main__":
    main()
