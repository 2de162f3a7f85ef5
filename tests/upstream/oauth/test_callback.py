"""The callback of a login: one answer, with the right state; everything else is turned away."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.upstream.oauth.callback import Answer, Callback, listening

from tests.upstream.oauth.house import WAIT_S


async def sent(callback: Callback, request: bytes) -> bytes:
    """What comes back for these bytes; nothing when the connection is closed without a word."""
    async with await anyio.connect_tcp("127.0.0.1", callback.port) as stream:
        await stream.send(request)
        answer = b""
        try:
            while True:
                answer += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return answer


def get(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode()


async def answered(requests: list[bytes]) -> tuple[list[bytes], Answer]:
    """The first line of the answer to each request, made one after the other, and what the login gets."""
    lines: list[bytes] = []
    async with listening("right", 0) as callback, anyio.create_task_group() as group:

        async def person() -> None:
            lines.extend([(await sent(callback, request)).partition(b"\r\n")[0] for request in requests])

        group.start_soon(person)
        with anyio.fail_after(WAIT_S):
            answer = await callback.answer()
    return lines, answer


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("/callback?state=right&code=c", Answer("c", None, None)),
        ("/callback?iss=https%3A%2F%2Fi.example&code=c%20d&state=right", Answer("c d", None, "https://i.example")),
        ("/callback?state=right&error=access_denied", Answer(None, "access_denied", None)),
        ("/callback?state=right&error=%1B%5B31m", Answer(None, "unknown error", None)),
        ("/callback?state=right", Answer(None, None, None)),
    ],
)
async def test_an_answer_with_the_right_state_is_taken(target: str, answer: Answer) -> None:
    lines, taken = await answered([get(target)])
    assert taken == answer
    assert lines == [b"HTTP/1.1 200 OK"]


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (get("/callback?state=wrong&code=c"), b"HTTP/1.1 400 Bad Request"),
        (get("/callback?code=c"), b"HTTP/1.1 400 Bad Request"),
        (get("/callback?state=right&state=wrong&code=c"), b"HTTP/1.1 400 Bad Request"),
        (get("/callback?state=%F0%28&code=c"), b"HTTP/1.1 400 Bad Request"),
        (get("/?state=right&code=c"), b"HTTP/1.1 404 Not Found"),
        (get("/favicon.ico"), b"HTTP/1.1 404 Not Found"),
        (b"POST /callback?state=right&code=c HTTP/1.1\r\n\r\n", b""),
        (b"\x16\x03\x01 is TLS\r\n\r\n", b""),
        (get("/callback?" + "x" * 20_000), b""),
    ],
    ids=lambda value: "",
)
async def test_anything_else_is_turned_away_and_ends_nothing(request_: bytes, line: bytes) -> None:
    lines, taken = await answered([request_, get("/callback?state=right&code=good")])
    assert taken.code == "good"
    assert lines == [line, b"HTTP/1.1 200 OK"]


async def test_a_browser_that_says_nothing_keeps_nobody_out() -> None:
    async with (
        listening("right", 0) as callback,
        await anyio.connect_tcp("127.0.0.1", callback.port),
        anyio.create_task_group() as group,
    ):
        group.start_soon(sent, callback, get("/callback?state=right&code=c"))
        with anyio.fail_after(WAIT_S):
            assert (await callback.answer()).code == "c"
