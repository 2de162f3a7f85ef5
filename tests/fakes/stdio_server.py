"""A child that speaks newline-delimited JSON-RPC, well or badly, as it is asked to.

Run as a script: `stdio_server.py [MODE]`. MODE is how it behaves from the start; the
method of each request is how it behaves for that request. Every line it receives is
kept, and `received` answers with them. Standard library only, so that it starts fast.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

RECEIVED: list[Any] = []
Message = dict[str, Any]


def send(message: Any) -> None:
    send_line(json.dumps(message).encode())


def send_line(line: bytes) -> None:
    os.writev(1, [line, b"\n"]) if len(line) < 4096 else write_all(line + b"\n")


def write_all(data: bytes, fd: int = 1) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def answer(request: Message, result: Any) -> None:
    send({"jsonrpc": "2.0", "id": request["id"], "result": result})


def receive() -> Message | None:
    line = sys.stdin.buffer.readline()
    if not line:
        return None
    try:
        message = json.loads(line)
    except ValueError:
        message = {"unreadable": repr(line)}
    RECEIVED.append(message)
    return message if isinstance(message, dict) else {}


def receive_reply() -> Message:
    while True:
        message = receive()
        if message is None:
            raise SystemExit
        if "method" not in message:
            return message


# What a request asks for, by its method.


def echo(request: Message) -> None:
    answer(request, {"echo": request.get("params")})


def received(request: Message) -> None:
    answer(request, {"received": RECEIVED})


def never(request: Message) -> None:
    return


def die(request: Message) -> None:
    os._exit(3)


def die_by_signal(request: Message) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def answer_and_die(request: Message) -> None:
    answer(request, {"last": "x" * 60_000})
    os._exit(0)


def close_output(request: Message) -> None:
    os.close(1)


def close_input(request: Message) -> None:
    os.close(0)
    time.sleep(600)


def stop_itself(request: Message) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def leave_grandchild(request: Message) -> None:
    """A grandchild that holds all three pipes, in our group unless it escapes."""
    escapes = (request.get("params") or {}).get("escapes", False)
    command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, start_new_session=escapes)
    answer(request, {"pid": child.pid})


def raw_line(request: Message) -> None:
    """Sends a line of the caller's making, `ID` in it replaced by the request's id."""
    text: str = request["params"]["line"]
    send_line(text.encode("latin-1").replace(b"ID", str(request["id"]).encode()))


def huge(request: Message) -> None:
    answer(request, {"text": "x" * request["params"]["bytes"]})


def huge_with_id_last(request: Message) -> None:
    send({"result": {"text": "x" * request["params"]["bytes"]}, "jsonrpc": "2.0", "id": request["id"]})


def endless(request: Message) -> None:
    os.write(1, b'{"jsonrpc":"2.0","result":"')
    while True:
        write_all(b"x" * 65536)


def twice(request: Message) -> None:
    answer(request, {"n": 1})
    answer(request, {"n": 2})


def progress(request: Message) -> None:
    token = request["params"].get("_meta", {}).get("progressToken")
    for step in range(3):
        params = {"progressToken": token, "progress": step}
        send({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
    answer(request, {"token": token})


def emit(request: Message) -> None:
    """Sends the notifications it is given, then answers."""
    for method, params in request["params"]["send"]:
        send({"jsonrpc": "2.0", "method": method, "params": params})
    answer(request, {})


def ask(request: Message) -> None:
    """Asks the client one question and answers with the reply."""
    method = request["params"]["question"]
    send({"jsonrpc": "2.0", "id": "q1", "method": method, "params": {"why": "because"}})
    answer(request, {"reply": receive_reply()})


def ask_and_withdraw(request: Message) -> None:
    send({"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {}})
    send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}})
    answer(request, {})


def ask_only(request: Message) -> None:
    """Asks, and never answers the request itself."""
    send({"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create", "params": {}})


def ask_often(request: Message) -> None:
    count = request["params"]["count"]
    for number in range(count):
        send({"jsonrpc": "2.0", "id": number, "method": "sampling/createMessage", "params": {}})
    answer(request, {})


def cancel_by_server(request: Message) -> None:
    params = {"requestId": request["id"], "reason": "over"}
    send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})


def listen(request: Message) -> None:
    meta = {"io.modelcontextprotocol/subscriptionId": request["id"]}
    send({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {"_meta": meta}})
    send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": meta}})


def descriptors(request: Message) -> None:
    answer(request, {"open": sorted(int(fd) for fd in os.listdir("/proc/self/fd"))})


def surroundings(request: Message) -> None:
    found = {
        "environment": dict(os.environ),
        "group": os.getpgrp(),
        "session": os.getsid(0),
        "pid": os.getpid(),
        "cwd": os.getcwd(),
    }
    answer(request, found)


def say(request: Message) -> None:
    write_all(request["params"]["text"].encode("latin-1"), fd=2)
    answer(request, {})


BY_METHOD: dict[str, Callable[[Message], None]] = {
    function.__name__: function
    for function in (
        *(echo, received, never, die, die_by_signal, answer_and_die, close_output, close_input, stop_itself),
        *(leave_grandchild, raw_line, huge, huge_with_id_last, endless, twice, progress, emit, ask, ask_and_withdraw),
        *(ask_only, ask_often, cancel_by_server, descriptors, surroundings, say),
    )
}
BY_METHOD["subscriptions/listen"] = listen


def begin(mode: str) -> None:
    """Ways to misbehave before the first request."""
    if mode == "banner":
        send_line(b"Welcome to the server!\n\n[1, 2, 3]\r\n\xff\xfe")
    elif mode == "stderr_flood":
        write_all(b"noise and more noise\n" * 1_000_000, fd=2)
    elif mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        send_line(b'{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"deaf"}}')
    elif mode == "not_reading":
        time.sleep(600)
    elif mode == "asking":
        while True:
            write_all(b'{"jsonrpc":"2.0","id":1,"method":"roots/list"}\n' * 1000)
    elif mode == "exits":
        sys.stderr.write("cannot find my settings\n")
        sys.exit(4)


def main() -> None:
    mode = sys.argv[1] if len(sys.argv) > 1 else "plain"
    begin(mode)
    while (message := receive()) is not None:
        if "id" in message and "method" in message:
            BY_METHOD.get(message["method"], echo)(message)
    if mode == "deaf":
        time.sleep(600)


if __name__ == "__main__":
    main()
