"""The end of a login in the browser: one request to a port of the loopback, with the code in it (RFC 8252, 7.3).

A state enters, the code leaves. Requests with another state are told so and change nothing, so that a page which
guesses the port cannot end a login.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc

from mcp_gateway.errors import PortBusy

HOST: Final = "127.0.0.1"
PATH: Final = "/callback"

NOT_UNDER_WAY: Final = "This answer belongs to no login that is under way."

_HEAD_WITHIN_S: Final = 10.0
_MAX_HEAD_BYTES: Final = 16 * 1024
_MOST_AT_ONCE: Final = 16
"""Our choice, all three: browsers send such a request at once, below 8 KiB, over one or two connections."""

_ERROR = re.compile(r"[a-z_]{1,64}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back with our state: a code, or the error of RFC 6749, section 4.1.2.1; `iss` of RFC 9207."""

    code: str | None
    error: str | None
    iss: str | None


def read_answer(query: str) -> tuple[str, Answer]:
    """The state, empty where there is none, and the answer that a browser brings in its address."""
    fields = {name: values[0] for name, values in parse_qs(query).items() if len(values) == 1}
    error = fields.get("error")
    if error is not None:
        error = error if _ERROR.fullmatch(error) else "unknown error"
    return fields.get("state", ""), Answer(fields.get("code"), error, fields.get("iss"))


class Callback:
    """A listening callback. Used up by the first request with the right state."""

    def __init__(self, state: str, listener: anyio.abc.Listener[anyio.abc.SocketStream], port: int) -> None:
        self.port = port
        self._state = state
        self._listener = listener
        self._answer: Answer | None = None
        self._answered = anyio.Event()
        self._places = anyio.CapacityLimiter(_MOST_AT_ONCE)

    @property
    def redirect_uri(self) -> str:
        return f"http://{HOST}:{self.port}{PATH}"

    async def answer(self) -> Answer:
        """Wait for the answer."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._listener.serve, self._serve)
            await self._answered.wait()
            group.cancel_scope.cancel()
        assert self._answer is not None
        return self._answer

    async def _serve(self, stream: anyio.abc.SocketStream) -> None:
        async with stream, self._places:
            try:
                with anyio.move_on_after(_HEAD_WITHIN_S):
                    status, text = self._take(await _target(stream))
                    await stream.send(_page(status, text))
            except (anyio.EndOfStream, anyio.BrokenResourceError, ValueError):
                pass
        if self._answer is not None:
            self._answered.set()

    def _take(self, target: str) -> tuple[str, str]:
        parts = urlsplit(target)
        if parts.path != PATH:
            return "404 Not Found", "There is nothing here."
        state, answer = read_answer(parts.query)
        if self._answer is not None or not hmac.compare_digest(state.encode(), self._state.encode()):
            return "400 Bad Request", NOT_UNDER_WAY
        self._answer = answer
        if answer.error is not None or answer.code is None:
            return "200 OK", "The login was refused. You can close this page."
        return "200 OK", "The answer has arrived. You can close this page and go back to mcp-gateway."


@asynccontextmanager
async def listening(state: str, port: int) -> AsyncIterator[Callback]:
    """A callback at a port of the loopback, 0 for any free one. Raises PortBusy."""
    try:
        listener = await anyio.create_tcp_listener(local_host=HOST, local_port=port)
    except OSError:
        raise PortBusy(
            f"port {port} of {HOST}, where the login should come back to, is taken; change auth.redirect_port"
        ) from None
    async with listener:
        bound = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - no database in sight
        yield Callback(state, listener, bound)


async def _target(stream: anyio.abc.SocketStream) -> str:
    """The target of the GET request that comes. Raises ValueError for anything else."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive(_MAX_HEAD_BYTES)
        if len(head) > _MAX_HEAD_BYTES:
            raise ValueError("too large")
    method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
    if method != "GET" or not version.startswith("HTTP/1."):
        raise ValueError("not a page's request")
    return target


def _page(status: str, text: str) -> bytes:
    body = f"<!doctype html><meta charset=utf-8><title>mcp-gateway</title><p>{text}\n".encode()
    return (
        f"HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nreferrer-policy: no-referrer\r\ncontent-security-policy: default-src 'none'\r\n"
        "x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    ).encode("ascii") + body
