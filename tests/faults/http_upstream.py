"""Streamable HTTP servers that misbehave: `python -m tests.faults.http_upstream FOLDER PORT MODE...`.

One process serves all of them: `/MODE` is the address of a server whose fault of that
name is in force while FOLDER/MODE/broken exists. `refused` has a port of its own, PORT, on which
nobody listens meanwhile. The port of all others is printed. Standard library only.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.garbage import ANSWERS, HUGE_BYTES, OFFERS, encoded
from tests.faults.http_door import Door, Servers
from tests.faults.speech import Control, Message, reply, result

INFLATED_BYTES = 256 * 1024 * 1024
"""What the gzip bomb becomes."""

HEADER_BYTES = 1024 * 1024
RETRY_AFTER_S = 1


Fault = Callable[[Door, Message], None]


def silent(door: Door, request: Message) -> None:
    door.control.until_healed()
    door.cut()


def list_fails(door: Door, request: Message) -> None:
    door.whole(200, encoded(reply(request, error={"code": -32603, "message": "the lists are being repaired"})))


def odd_session(door: Door, request: Message) -> None:
    door.answer_well(request, session="caf\u00e9\x7f\x01")


def reset(door: Door, request: Message) -> None:
    door.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    door.close_connection = True
    door.connection.close()


def closes(door: Door, request: Message) -> None:
    door.cut()


def short_body(door: Door, request: Message) -> None:
    body = encoded(reply(request, result=result(request)))
    door.head(200, {"Content-Type": "application/json", "Content-Length": str(len(body) + 100)})
    door.wfile.write(body)
    door.cut()


def cut_stream(door: Door, request: Message) -> None:
    door.events()
    door.chunk(b": here it comes\n\n")
    door.cut()


def broken_chunks(door: Door, request: Message) -> None:
    door.events()
    door.wfile.write(b"not a number\r\ndata: {}\n\n\r\n")
    door.control.until_healed()
    door.cut()


def slow_headers(door: Door, request: Message) -> None:
    door.drip(b"HTTP/1.1 200 Told\r\nContent-Type: application/json\r\nX: " + b"x" * 10_000)


def slow_body(door: Door, request: Message) -> None:
    door.head(200, {"Content-Type": "application/json", "Content-Length": "100000"})
    door.drip(b'{"jsonrpc":"2.0","result":"' + b"x" * 10_000)


def only_comments(door: Door, request: Message) -> None:
    door.events()
    while door.control.broken:
        door.chunk(b": still here\n\n")
        time.sleep(0.02)  # the fault itself
    door.cut()


def wrong_type(door: Door, request: Message) -> None:
    door.whole(200, b"<html>Welcome</html>", kind="text/html")


def empty(door: Door, request: Message) -> None:
    door.whole(200)


def odd_events(door: Door, request: Message) -> None:
    door.events()
    door.chunk(b"data: this is no JSON\n\n")
    door.control.until_healed()
    door.cut()


def huge_event(door: Door, request: Message) -> None:
    door.events()
    for _ in range(HUGE_BYTES // 65_536):
        door.chunk(b"data: " + b"x" * 65_536 + b"\n")
    door.cut()


def endless_event(door: Door, request: Message) -> None:
    door.events()
    door.chunk(b"data: ")
    while door.control.broken:
        door.chunk(b"x" * 65_536)
    door.cut()


def event_storm(door: Door, request: Message) -> None:
    """Many log messages and changes of the lists, then the answer."""
    door.events()
    logged = encoded({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "error", "data": "x"}})
    changed = encoded({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    for _ in range(1_000):
        door.chunk(b"data: %b\n\ndata: %b\n\n" % (logged, changed) * 10)
    door.chunk(b"data: %b\n\n" % encoded(reply(request, result=result(request))))
    door.chunk(b"")


def gzip_bomb(door: Door, request: Message) -> None:
    door.whole(200, BOMB, {"Content-Encoding": "gzip"})


def huge_header(door: Door, request: Message) -> None:
    body = encoded(reply(request, result=result(request)))
    door.whole(200, body, {"X-Huge": "x" * HEADER_BYTES})


def error_500(door: Door, request: Message) -> None:
    door.whole(500, b"oops", kind="text/plain")


def page_502(door: Door, request: Message) -> None:
    door.whole(502, b"<html><h1>Bad gateway</h1></html>", kind="text/html")


def later_503(door: Door, request: Message) -> None:
    door.whole(503, headers={"Retry-After": str(RETRY_AFTER_S)})


def busy_429(door: Door, request: Message) -> None:
    door.whole(429)


def refused_401(door: Door, request: Message) -> None:
    door.whole(401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


def refused_403(door: Door, request: Message) -> None:
    door.whole(403)


def forgotten_404(door: Door, request: Message) -> None:
    """A server that was restarted: it knows no session but those opened since."""
    door.whole(404)


def forgetful(door: Door, request: Message) -> None:
    """Knows no session of before; opening a new one heals it."""
    door.control.heal()
    door.whole(404)


def redirect_away(door: Door, request: Message) -> None:
    door.whole(307, headers={"Location": f"http://localhost:9{door.path}"})


def redirect_loop(door: Door, request: Message) -> None:
    door.whole(307, headers={"Location": door.path})


def broken_answer(door: Door, request: Message) -> None:
    door.whole(200, ANSWERS[door.control.mode](request))


def broken_offer(door: Door, request: Message) -> None:
    door.whole(200, encoded(reply(request, result={"tools": OFFERS[door.control.mode]()})))


NOT_TAKEN = frozenset(
    {
        *(error_500, page_502, later_503, busy_429, refused_401, refused_403, forgotten_404, forgetful),
        *(redirect_away, redirect_loop),
    }
)
"""Faults that refuse a request before anything is done: it does not count as received."""

ON_CALL: Mapping[str, Fault] = {
    function.__name__: function
    for function in (
        *(silent, reset, closes, short_body, cut_stream, broken_chunks, slow_headers, slow_body, only_comments),
        *(wrong_type, empty, odd_events, huge_event, endless_event, event_storm, gzip_bomb, huge_header, error_500),
        *(page_502, later_503, busy_429, refused_401, refused_403, forgotten_404, forgetful, redirect_away),
        *(redirect_loop,),
    )
} | dict.fromkeys(ANSWERS, broken_answer)
ON_LIST: Mapping[str, Fault] = {"list_hangs": silent, "list_fails": list_fails, **dict.fromkeys(OFFERS, broken_offer)}
SILENT_OPENING: Mapping[str, Fault] = {"silent_opening": silent}

FAULTS: Mapping[str, Mapping[str, Fault]] = {
    "server/discover": SILENT_OPENING,
    "initialize": {**SILENT_OPENING, "odd_session": odd_session},
    "tools/list": ON_LIST,
    "tools/call": ON_CALL,
    "ping": {"refused_401": refused_401, "silent": silent},
}
"""Method -> mode -> what is done in place of an answer."""

MODES = frozenset({"none", "refused", *(mode for faults in FAULTS.values() for mode in faults)})

BOMB = gzip.compress(b"\x00" * 1024 * 1024, 1) * (INFLATED_BYTES // (1024 * 1024))


class FaultyDoor(Door):
    """A connection on which a fault may answer; faults write what they like, and may close it."""

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        control = self.control
        fault = FAULTS.get(message.get("method", ""), {}).get(control.mode)
        is_broken = fault is not None and control.broken
        if not (is_broken and fault in NOT_TAKEN):
            control.record(message)
        try:
            if is_broken and fault is not None:
                fault(self, message)
            else:
                self.answer_well(message)
        except OSError:
            self.close_connection = True  # the gateway has had enough


def serve_unless_broken(port: int, control: Control) -> None:
    """Listen only while nothing is wrong; once it listens it goes on until the fault is back."""
    while True:
        control.until_healed()
        with Servers(port, FaultyDoor, {control.mode: control}) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            control.until_broken()
            server.shutdown()


def main(folder: Path, refused_port: int, modes: list[str]) -> None:
    controls = {mode: Control(folder / mode, mode) for mode in modes}
    if "refused" in controls:
        arguments = (refused_port, controls["refused"])
        threading.Thread(target=serve_unless_broken, args=arguments, daemon=True).start()
    with Servers(0, FaultyDoor, controls) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
