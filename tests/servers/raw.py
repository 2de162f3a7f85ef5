"""A client of the handshake era that sends and returns bytes: no model, no respelling.

Speaks Streamable HTTP at 2025-11-25 over one connection, and takes an answer as JSON
or as an event stream. Every request gets the next id, from 1.
"""

from __future__ import annotations

from http.client import HTTPConnection, HTTPResponse
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from mcp_gateway.wire import Envelope, Malformed, decode

REVISION = "2025-11-25"
TIMEOUT_S = 20
OPENING = b'{"protocolVersion":"%b","capabilities":{},"clientInfo":{"name":"raw","version":"0"}}' % REVISION.encode()


class RawClient:
    """One session, open while entered."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = HTTPConnection(address.hostname, address.port, timeout=TIMEOUT_S)
        self._path = address.path
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        self._last_id = 0

    def __enter__(self) -> Self:
        self.ask("initialize", OPENING)
        self._headers["MCP-Protocol-Version"] = REVISION
        self._post(b'{"jsonrpc":"2.0","method":"notifications/initialized"}').read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(self, method: str, params: bytes = b"{}") -> Envelope:
        """One request; the answer's result and error are the bytes that came."""
        self._last_id += 1
        request = b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}' % (self._last_id, method.encode(), params)
        response = self._post(request)
        if (session := response.headers["Mcp-Session-Id"]) is not None:
            self._headers["Mcp-Session-Id"] = session
        body = response.read()
        for message in _events(body) if "event-stream" in response.headers["Content-Type"] else [body]:
            envelope = _decoded(message)
            if envelope is not None and envelope.id == self._last_id and envelope.is_response:
                return envelope
        raise AssertionError(f"no answer in {response.status} {body!r}")

    def result(self, method: str, params: bytes = b"{}") -> bytes:
        answer = self.ask(method, params)
        assert not bytes(answer.error), bytes(answer.error)
        return bytes(answer.result)

    def error(self, method: str, params: bytes = b"{}") -> bytes:
        answer = self.ask(method, params)
        assert not bytes(answer.result), bytes(answer.result)
        return bytes(answer.error)

    def _post(self, body: bytes) -> HTTPResponse:
        self._connection.request("POST", self._path, body, self._headers)
        return self._connection.getresponse()


def _events(body: bytes) -> list[bytes]:
    """The data of each event; several data lines are one text with line ends between (HTML, server-sent events)."""
    blocks = body.replace(b"\r\n", b"\n").split(b"\n\n")
    fields = [
        [line[5:].removeprefix(b" ") for line in block.split(b"\n") if line.startswith(b"data:")] for block in blocks
    ]
    return [b"\n".join(lines) for lines in fields if lines]


def _decoded(message: bytes) -> Envelope | None:
    try:
        return decode(message)
    except Malformed:  # a priming event has no data
        return None
