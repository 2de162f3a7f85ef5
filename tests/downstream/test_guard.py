"""Who may come in by the looks of Host and Origin."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.downstream.guard import Guard
from starlette.types import Message, Receive, Scope, Send


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "let in"})


GUARD = Guard(inside, hosts=["Gateway.example", "other.example:8443"], origins=["https://app.example/"])


def headers(host: str | None, *origins: str) -> list[tuple[bytes, bytes]]:
    found = [(b"origin", origin.encode()) for origin in origins]
    return found if host is None else [(b"host", host.encode()), *found]


@pytest.mark.parametrize(
    ("host", "origins"),
    [
        ("127.0.0.1:8765", []),
        ("localhost", []),
        ("LOCALHOST:1", []),
        ("[::1]:8765", []),
        ("gateway.example", []),
        ("gateway.example:9", []),
        ("other.example:8443", []),
        ("127.0.0.1", ["http://localhost:3000"]),
        ("127.0.0.1", ["https://app.example"]),
        ("127.0.0.1", ["HTTPS://APP.EXAMPLE"]),
        ("gateway.example:9", ["http://Gateway.example:9"]),
    ],
)
def test_an_allowed_host_and_origin_come_in(host: str, origins: list[str]) -> None:
    assert GUARD.refusal(headers(host, *origins)) is None


@pytest.mark.parametrize(
    ("host", "origins"),
    [
        (None, []),
        ("", []),
        ("evil.example", []),
        ("127.0.0.1.evil.example", []),
        ("localhost.evil.example:8765", []),
        ("other.example", []),
        ("other.example:1", []),
        ("[::1]evil", []),
        ("gateway.example:9", ["http://gateway.example"]),
        ("gateway.example", ["https://gateway.example"]),
        ("evil.example", ["http://evil.example"]),
        ("127.0.0.1", ["null"]),
        ("127.0.0.1", ["http://evil.example"]),
        ("127.0.0.1", ["http://127.0.0.1.evil.example"]),
        ("127.0.0.1", ["http://app.example"]),
        ("127.0.0.1", ["file://localhost"]),
        ("127.0.0.1", ["http://localhost", "http://evil.example"]),
        ("127.0.0.1", ["http://[::1"]),
        ("127.0.0.1", [""]),
        ("127.0.0.1", ["http://evil.example@localhost:80"]),
    ],
)
def test_anybody_else_stays_outside(host: str | None, origins: list[str]) -> None:
    assert GUARD.refusal(headers(host, *origins)) is not None


def test_two_hosts_are_none() -> None:
    assert GUARD.refusal(headers("127.0.0.1") + headers("127.0.0.1")) is not None


async def sent(scope: dict[str, Any]) -> list[Message]:
    messages: list[Message] = []

    async def receive() -> Message:
        raise AssertionError("nothing is read from somebody who stays outside")

    async def send(message: Message) -> None:
        messages.append(message)

    await GUARD(scope, receive, send)
    return messages


async def test_a_refused_websocket_is_closed_before_it_opens() -> None:
    (closed,) = await sent({"type": "websocket", "headers": headers("evil.example")})

    assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


async def test_an_allowed_websocket_and_the_lifespan_pass() -> None:
    assert await sent({"type": "websocket", "headers": headers("localhost")}) == [{"type": "let in"}]
    assert await sent({"type": "lifespan"}) == [{"type": "let in"}]
