"""The wire of a misbehaving HTTP server: a connection that sends what it is told to, byte by byte.

Which answer that is, faults decide. Standard library only.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.faults.garbage import encoded
from tests.faults.speech import Control, Message, healthy

HOST = "127.0.0.1"


class Door(BaseHTTPRequestHandler):
    """One connection, with the ways to answer well and badly; `do_POST` is for whoever derives from it."""

    protocol_version = "HTTP/1.1"
    timeout = 600

    def do_GET(self) -> None:
        self.whole(405)

    def do_DELETE(self) -> None:
        self.whole(200)

    @property
    def control(self) -> Control:
        assert isinstance(self.server, Servers)
        return self.server.controls[self.path.strip("/")]

    def answer_well(self, message: Message, session: str | None = None) -> None:
        answered = healthy(message)
        if answered is None:
            self.whole(202)
        elif message["method"] == "initialize":
            self.whole(200, encoded(answered), {"Mcp-Session-Id": session or uuid.uuid4().hex})
        else:
            self.whole(200, encoded(answered))

    def whole(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None, kind: str = "application/json"
    ) -> None:
        self.head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})})
        self.wfile.write(body)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.wfile.write(f"HTTP/1.1 {status} Told\r\n{lines}\r\n".encode("latin-1"))

    def events(self) -> None:
        """Begin an event stream."""
        self.head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def cut(self) -> None:
        """End the connection, in order as far as TCP knows."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def drip(self, data: bytes) -> None:
        """A byte at a time until the fault is healed."""
        for byte in data:
            if not self.control.broken:
                break
            self.wfile.write(bytes([byte]))
            time.sleep(0.02)  # the fault itself
        self.cut()

    def log_message(self, format: str, *args: Any) -> None:
        return


class Servers(ThreadingHTTPServer):
    """One port, and the servers on it."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, door: type[Door], controls: Mapping[str, Control]) -> None:
        super().__init__((HOST, port), door)
        self.controls = controls

    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # connections that break off are what this is about
