"""The load: connections that each have one call under way, bytes in and bytes out, every answer checked."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

from benchmarks.relay.scenarios import SMALL, Era, Scenario, Way

MARK = b"mark-%012d"
WITHIN_S = 30.0
MAX_ERRORS = 20

_dumps = msgspec.json.Encoder().encode
_loads = msgspec.json.Decoder().decode
_PREFIX = "io.modelcontextprotocol"
_META = {
    f"{_PREFIX}/protocolVersion": Era.MODERN,
    f"{_PREFIX}/clientInfo": {"name": "bench", "version": "1"},
    f"{_PREFIX}/clientCapabilities": {},
}


class Question:
    """What is asked again and again: bytes with a hole for a number of twelve digits, which the answer repeats."""

    def __init__(self, scenario: Scenario, tool: str) -> None:
        self.method, self.tool = ("tools/list", "") if scenario.way is Way.LIST else ("tools/call", tool)
        self.era = scenario.era
        self.least_bytes = 100_000 if scenario.way is Way.LIST else scenario.size
        self._is_fixed = scenario.way is Way.CACHE
        padding = max(0, scenario.size - len(MARK % 0))
        arguments = {"text": "MARK" + ("x" * padding if scenario.size == SMALL else "")}
        if scenario.size != SMALL:
            arguments["bytes"] = padding  # type: ignore[assignment]  # the one number among them
        params: dict[str, Any] = {} if scenario.way is Way.LIST else {"name": tool, "arguments": arguments}
        if self.era is Era.MODERN:
            params["_meta"] = _META
        body = {"jsonrpc": "2.0", "id": "ID", "method": self.method, "params": params}
        self._template = _dumps(body).replace(b"%", b"%%").replace(b'"ID"', b"%d").replace(b"MARK", MARK)

    def body(self, number: int) -> tuple[bytes, bytes]:
        """The message, and what has to be in its answer."""
        if self.method == "tools/list":
            return self._template % number, b'"tools"'
        marked = 0 if self._is_fixed else number
        return self._template % (number, marked), MARK % marked


class Connection(asyncio.Protocol):
    """One client: a keep-alive connection, and the session that it opened."""

    def __init__(self, url: str, first_number: int) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._line = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        self._line += "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
        self._session = ""
        self._number = first_number
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._came = bytearray()
        self._whole = 0
        self._is_running = False
        self.taken_ns: list[int] = []
        self.errors = 0
        self.first_error = b""

    # -- one message after another -------------------------------------------------------------------------------

    async def ready(self) -> None:
        """Connected, again where the other end had closed."""
        if self._transport is None or self._transport.is_closing():
            await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)

    async def open_session(self) -> None:
        client = {"name": "bench", "version": "1"}
        params = {"protocolVersion": Era.LEGACY, "capabilities": {}, "clientInfo": client}
        answer = await self.ask({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"mcp-session-id":
                self._session = f"mcp-session-id: {value.strip().decode()}\r\n"
        self._session += f"mcp-protocol-version: {Era.LEGACY}\r\n"
        await self.ask({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def tool_names(self) -> list[str]:
        answer = await self.ask({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
        body = answer.partition(b"\r\n\r\n")[2]
        if body[:1] != b"{":
            body = body[body.index(b"data:") + 5 :].splitlines()[0]
        return [tool["name"] for tool in _loads(body)["result"]["tools"]]

    async def ask(self, message: dict[str, Any]) -> bytes:
        """The whole response."""
        await self.ready()
        self._waiting = asyncio.get_running_loop().create_future()
        self._write(self._line + self._session, _dumps(message))
        return await asyncio.wait_for(self._waiting, WITHIN_S)

    # -- the load ------------------------------------------------------------------------------------------------

    async def run(self, question: Question, until_ns: int) -> None:
        """Ask until then; what is under way then still counts."""
        await self.ready()
        self.taken_ns, self.errors = [], 0
        self._question, self._until_ns = question, until_ns
        self._head = self._line + (self._session if question.era is Era.LEGACY else "")
        if question.era is Era.MODERN:
            self._head += f"mcp-protocol-version: {Era.MODERN}\r\nmcp-method: {question.method}\r\n"
            self._head += f"mcp-name: {question.tool}\r\n" if question.tool else ""
        self._waiting = asyncio.get_running_loop().create_future()
        self._is_running = True
        self._next()
        try:
            await asyncio.wait_for(self._waiting, WITHIN_S)
        finally:
            self._is_running = False

    def _next(self) -> None:
        self._number += 1
        body, self._marker = self._question.body(self._number)
        self._asked_ns = time.perf_counter_ns()
        self._write(self._head, body)

    def _write(self, head: str, body: bytes) -> None:
        assert self._transport is not None, "ready() came first"
        self._transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head.encode(), len(body), body))

    def _answered(self, response: bytes) -> None:
        now_ns = time.perf_counter_ns()
        self.taken_ns.append(now_ns - self._asked_ns)
        is_right = response[9:12] == b"200" and self._marker in response and b'"isError":true' not in response
        if not is_right or len(response) < self._question.least_bytes:
            self.errors += 1
            self.first_error = self.first_error or response[:400]
        if now_ns < self._until_ns and self.errors < MAX_ERRORS:
            self._next()
        else:
            self._settle(response)

    def _settle(self, response: bytes) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(response)

    # -- bytes ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's
        self._came.clear()
        self._whole = 0

    def data_received(self, data: bytes) -> None:
        self._came += data
        if not self._whole:
            end = self._came.find(b"\r\n\r\n")
            if end < 0:
                return
            self._whole = _whole(bytes(self._came[:end]).lower(), end + 4)
        if len(self._came) < self._whole or (self._whole < 0 and not self._came.endswith(b"\r\n0\r\n\r\n")):
            return
        response = bytes(self._came)
        self._came.clear()
        self._whole = 0
        if self._is_running:
            self._answered(response)
        else:
            self._settle(response)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionError(f"the connection was closed: {error}"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _whole(head: bytes, body_at: int) -> int:
    """Where the response ends; below 0 where its chunks tell."""
    _, found, after = head.partition(b"content-length:")
    if found:
        return body_at + int(after.split(b"\r\n", 1)[0])
    return -1 if b"transfer-encoding: chunked" in head else body_at
