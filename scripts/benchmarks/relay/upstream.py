"""The upstream: `python -m benchmarks.relay.upstream http PORT` or `... stdio`; `--cpu N` keeps it there.

Over HTTP, `/mcp` lists what is called, `/many/mcp` a thousand tools, and `/LABEL/mcp` twenty of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from functools import cache

import uvloop

from benchmarks.relay.answers import CALLED, Answers, listed

MANY = 1000
MANY_PATH = "many"
FEW = 20

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@cache
def answers_at(label: str) -> Answers:
    if not label:
        return Answers(CALLED)
    return Answers(listed(label, MANY if label == MANY_PATH else FEW))


class HttpSide(asyncio.Protocol):
    """One connection of HTTP/1.1, its bodies with a length."""

    def __init__(self) -> None:
        self._came = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # a stream's

    def data_received(self, data: bytes) -> None:
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = self._came[:end]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            body, self._came = self._came[end + 4 : whole], self._came[whole:]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        verb, path, _ = head.split(b" ", 2)
        if verb != b"POST":
            self._say(b"405 Method Not Allowed" if verb == b"GET" else b"200 OK", b"")
            return
        label = path.decode().removesuffix("/mcp").strip("/")
        answer = answers_at(label).to(body)
        self._say(b"202 Accepted" if answer is None else b"200 OK", answer or b"")

    def _say(self, status: bytes, body: bytes) -> None:
        kind = b"content-type: application/json\r\n" if body else b""
        self._transport.write(b"HTTP/1.1 %b\r\n%bcontent-length: %d\r\n\r\n%b" % (status, kind, len(body), body))


async def serve_http(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(HttpSide, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


def serve_stdio() -> None:
    """Everything that has come is answered with one write."""
    answers = answers_at("")
    rest = b""
    while came := os.read(0, 1 << 20):
        *lines, rest = (rest + came).split(b"\n")
        said = [answer for line in lines if line.strip() and (answer := answers.to(line)) is not None]
        if said:
            sys.stdout.buffer.write(b"\n".join(said) + b"\n")
            sys.stdout.buffer.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("transport", choices=("http", "stdio"))
    parser.add_argument("port", type=int, nargs="?", default=0)
    parser.add_argument("--cpu", type=int)
    arguments = parser.parse_args()
    if arguments.cpu is not None:
        os.sched_setaffinity(0, {arguments.cpu})
    if arguments.transport == "stdio":
        serve_stdio()
    else:
        uvloop.run(serve_http(arguments.port))


if __name__ == "__main__":
    main()
