"""A child process that misbehaves: `python -m tests.faults.stdio_upstream FOLDER MODE`.

MODE names a fault; it is in force while FOLDER/broken exists. Whatever needs no
fault is answered as `speech.healthy` says. Standard library only, so that it starts fast.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.faults.garbage import ANSWERS, OFFERS, encoded, in_place_of_result, twice
from tests.faults.speech import LAST_WORDS, Control, Message, healthy, reply, result

LATE_S = 0.7
"""How long a slow start takes: within every startup timeout of the cases."""

NOISE = b"noise and more noise\n"
STORM = 20_000
QUESTIONS = 5_000
STDERR_LINES = 500_000

Fault = Callable[[Control, Message], None]


def write(data: bytes, fd: int = 1) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def send(message: Any) -> None:
    write(encoded(message) + b"\n")


def answer(request: Message) -> None:
    send(reply(request, result=result(request)))


def notice(method: str, **params: Any) -> bytes:
    return encoded({"jsonrpc": "2.0", "method": method, "params": params}) + b"\n"


# At the start, before anything is read.


def exits(control: Control) -> None:
    sys.exit(0)


def crashes(control: Control) -> None:
    write(f"Traceback (most recent call last):\nKeyError: '{LAST_WORDS}'\n".encode(), fd=2)
    os._exit(4)


def banner(control: Control) -> None:
    write(b'Welcome to the server!\n\n[1, 2, 3]\r\n{"ready": true}\n\xff\xfe\n')


def stderr_first(control: Control) -> None:
    write(NOISE * STDERR_LINES, fd=2)


def starts_late(control: Control) -> None:
    time.sleep(LATE_S)  # the fault itself: a server that is slow to start


def deaf(control: Control) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


AT_START: Mapping[str, Callable[[Control], None]] = {
    function.__name__: function for function in (exits, crashes, banner, stderr_first, starts_late, deaf)
}


# In place of an answer.


def silent(control: Control, request: Message) -> None:
    return


def refuses(control: Control, request: Message) -> None:
    send(reply(request, error={"code": -32603, "message": "the lists are being repaired"}))


def endless_cursor(control: Control, request: Message) -> None:
    send(reply(request, result={"tools": healthy_tools(request), "nextCursor": os.urandom(8).hex()}))


def healthy_tools(request: Message) -> list[Any]:
    whole = healthy({**request, "method": "tools/list"})
    assert whole is not None
    tools: list[Any] = whole["result"]["tools"]
    return tools


def dies(control: Control, request: Message) -> None:
    os._exit(3)


def last_answer(control: Control, request: Message) -> None:
    answer(request)
    os._exit(0)


def closes_output(control: Control, request: Message) -> None:
    os.close(1)
    time.sleep(600)


def deaf_and_closed(control: Control, request: Message) -> None:
    os.close(1)
    while True:
        time.sleep(600)


def stops_reading(control: Control, request: Message) -> None:
    control.until_healed()


def stops_itself(control: Control, request: Message) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def drips(control: Control, request: Message) -> None:
    """One byte at a time, for longer than any deadline of the cases."""
    for byte in in_place_of_result(request, b'"%b"' % (b"x" * 10_000)):
        if not control.broken:
            break
        write(bytes([byte]))
        time.sleep(0.02)  # the fault itself
    write(b"\n")


def garbage_first(control: Control, request: Message) -> None:
    write(b"debug: got a request\n{\n[]\nnull\n\xff\n" + b"\x00" * 100 + b"\n")
    answer(request)


def only_garbage(control: Control, request: Message) -> None:
    write(b"debug: got a request\n{\n[]\nnull\n\xff\n")


def answers_twice(control: Control, request: Message) -> None:
    write(b"\n".join(twice(request)) + b"\n")


def endless_line(control: Control, request: Message) -> None:
    write(b'{"jsonrpc":"2.0","result":"')
    while control.broken:
        write(b"x" * 65536)
    write(b"\n")


def stderr_flood(control: Control, request: Message) -> None:
    write(NOISE * STDERR_LINES, fd=2)
    answer(request)


def change_storm(control: Control, request: Message) -> None:
    write(notice("notifications/tools/list_changed") * STORM)
    answer(request)


def log_flood(control: Control, request: Message) -> None:
    write(notice("notifications/message", level="error", data="x" * 200) * STORM)
    answer(request)


def question_flood(control: Control, request: Message) -> None:
    """Questions of its own without end; the replies are read by nobody until the answer is out."""
    for number in range(QUESTIONS):
        send({"jsonrpc": "2.0", "id": number, "method": "sampling/createMessage", "params": {}})
    answer(request)


def grandchild(control: Control, request: Message) -> None:
    """Dies, and leaves a process behind that holds its pipes."""
    subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
    os._exit(3)


def broken_answer(control: Control, request: Message) -> None:
    write(ANSWERS[control.mode](request) + b"\n")


def broken_offer(control: Control, request: Message) -> None:
    send(reply(request, result={"tools": OFFERS[control.mode]()}))


ON_CALL: Mapping[str, Fault] = {
    function.__name__: function
    for function in (
        *(silent, dies, last_answer, closes_output, stops_reading, stops_itself, drips, garbage_first),
        *(only_garbage, answers_twice, endless_line, stderr_flood, change_storm, log_flood, question_flood),
        *(grandchild,),
    )
} | {"deaf": deaf_and_closed, **dict.fromkeys(ANSWERS, broken_answer)}
ON_LIST: Mapping[str, Fault] = {
    "list_hangs": silent,
    "list_fails": refuses,
    "endless_cursor": endless_cursor,
    **dict.fromkeys(OFFERS, broken_offer),
}
ON_OPENING: Mapping[str, Fault] = {"silent_opening": silent}

FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "server/discover": ON_OPENING,
    "initialize": ON_OPENING,
    "tools/list": ON_LIST,
    "tools/call": ON_CALL,
}
"""Method -> mode -> what is done in place of an answer."""

MODES = frozenset({"none", *AT_START, *ON_CALL, *ON_LIST, *ON_OPENING})


def main(control: Control) -> None:
    if control.broken and control.mode in AT_START:
        AT_START[control.mode](control)
    for line in sys.stdin.buffer:
        message = json.loads(line)
        control.record(message)
        fault = FAULTS.get(message.get("method", ""), {}).get(control.mode)
        if fault is not None and control.broken:
            fault(control, message)
        elif (answered := healthy(message)) is not None:
            send(answered)
    if control.mode == "deaf" and control.broken:
        time.sleep(600)


if __name__ == "__main__":
    main(Control(Path(sys.argv[1]), sys.argv[2]))
