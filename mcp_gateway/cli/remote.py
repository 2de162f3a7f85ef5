"""A gateway in another process, over its REST door."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread

from mcp_gateway.downstream.runfile import Running
from mcp_gateway.errors import CODES, GatewayError, NotRunning

LIVES_WITHIN_S = 2.0
"""A gateway that runs answers its health check much sooner; whoever else has its port now may not (our choice)."""

ANSWER_WITHIN_S = 3600.0
"""The gateway has deadlines of its own; this only bounds a dead connection."""

T = TypeVar("T")

EVENT_STREAM: Final = "text/event-stream"

Follow = Callable[[str, Mapping[str, Any]], None]
"""Hears what happens during a call: kind and data of each event (docs/rest.md)."""


class Refused(GatewayError):
    """A failure told by a gateway or by an upstream, with a code of its own; `upstream_error` is an upstream's."""

    def __init__(self, code: str, message: str, server: str | None = None) -> None:
        super().__init__(message, server=server)
        self.code = code  # type: ignore[misc]  # a class attribute elsewhere; here it came from outside


class Remote:
    """A gateway in another process, over its REST door."""

    def __init__(self, running: Running) -> None:
        self.url = running.url
        self._token = running.token

    async def lives(self) -> bool:
        """Whether the address still belongs to a gateway; the token is not shown to whoever answers."""
        return await self._in_thread(self._is_alive, LIVES_WITHIN_S)

    async def get(self, path: str, server: str | None = None) -> Any:
        return await self._ask("GET", f"/api/v1/{path}", None)

    async def delete(self, path: str) -> Any:
        """The body of `DELETE /api/v1/{path}`. Raises GatewayError."""
        return await self._ask("DELETE", f"/api/v1/{path}", None)

    async def tool(self, name: str) -> Mapping[str, Any] | None:
        return named(name, (await self.get("tools"))["tools"])

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, follow: Follow | None = None
    ) -> dict[str, Any]:
        body = json.dumps({"arguments": arguments} | ({} if timeout_s is None else {"timeout_s": timeout_s}))
        path = f"/api/v1/tools/{quote(tool, safe='')}/call"
        if follow is None:
            result: dict[str, Any] = await self._ask("POST", path, body)
            return result
        return await self._in_thread(lambda connection: self._followed(connection, path, body, follow))

    async def _ask(self, method: str, path: str, body: str | None) -> Any:
        return await self._in_thread(lambda connection: self._answer(connection, method, path, body))

    async def _in_thread(self, work: Callable[[HTTPConnection], T], within_s: float = ANSWER_WITHIN_S) -> T:
        """Work on a connection of its own. On Ctrl-C it is hung up, which ends the thread, and the call over there."""
        connection = self._connection(within_s)
        try:
            return await anyio.to_thread.run_sync(work, connection, abandon_on_cancel=True)
        finally:
            _hang_up(connection)

    def _is_alive(self, connection: HTTPConnection) -> bool:
        try:
            response = _exchange(connection, "GET", self._path("/healthz"), None, {})
            return response.status == 200 and response.read() == b"ok\n"
        except (OSError, HTTPException):
            return False

    def _answer(self, connection: HTTPConnection, method: str, path: str, body: str | None) -> Any:
        with self._answering():
            return _decoded(_exchange(connection, method, self._path(path), body, self._headers()))

    def _followed(self, connection: HTTPConnection, path: str, body: str, follow: Follow) -> dict[str, Any]:
        headers = self._headers() | {"Accept": EVENT_STREAM}
        with self._answering():
            response = _exchange(connection, "POST", self._path(path), body, headers)
            if not (response.headers["Content-Type"] or "").startswith(EVENT_STREAM):
                result: dict[str, Any] = _decoded(response)
                return result
            for kind, data in _events(response):
                if kind == "done":
                    ended: dict[str, Any] = data
                    return ended
                if kind == "error":
                    raise _failure(data)
                follow(kind, data)
            raise ConnectionError("the answer is missing")

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (OSError, HTTPException, ValueError) as gone:
            raise NotRunning(f"the gateway at {self.url} does not answer ({type(gone).__name__})") from None

    def _path(self, path: str) -> str:
        return urlsplit(self.url).path + path

    def _connection(self, timeout_s: float) -> HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "http":
            return HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        # Its certificate names a public host, we dial the address of the run file, which only we can write.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=context)


def _exchange(
    connection: HTTPConnection, method: str, path: str, body: str | None, headers: Mapping[str, str]
) -> HTTPResponse:
    connection.request(method, path, body, dict(headers))
    return connection.getresponse()


def _hang_up(connection: HTTPConnection) -> None:
    """Wakes a thread that reads from it, which closing alone would not."""
    with suppress(OSError):
        if connection.sock is not None:
            connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def _failure(body: Any) -> GatewayError:
    """The error body of REST as what was raised over there."""
    if not isinstance(body, dict):
        return Refused("internal_error", "the gateway answered with an error of unknown shape")
    details = body.get("details") or {}
    code = str(details.get("code"))
    known = code in CODES or code == "upstream_error"
    return Refused(code if known else "internal_error", str(body.get("error")), details.get("server"))


def named(name: str, tools: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    """The tool of that name among those of a listing."""
    return next((tool for tool in tools if tool["name"] == name), None)


def _decoded(response: HTTPResponse) -> Any:
    """The body. Raises the failure that it tells of, ValueError when it is not JSON."""
    body = json.loads(response.read())
    if response.status >= 400:
        raise _failure(body)
    return body


def _events(lines: HTTPResponse) -> Iterator[tuple[str, Any]]:
    """Kind and data of the events of a stream, as they come (HTML, 9.2.6)."""
    kind, data = "", list[bytes]()
    for line in lines:
        name, _, value = line.rstrip(b"\r\n").partition(b": ")
        if name == b"event":
            kind = value.decode()
        elif name == b"data":
            data.append(value)
        elif not name and data:
            yield kind, json.loads(b"\n".join(data))
            data = []
