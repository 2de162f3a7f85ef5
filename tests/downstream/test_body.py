"""Bodies are read whole, within bounds, and can be read again."""

from __future__ import annotations

import pytest
from mcp_gateway.downstream.body import read_body, replay
from mcp_gateway.errors import MessageTooLarge
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive


def arriving(*messages: Message) -> Receive:
    left = list(messages)

    async def receive() -> Message:
        return left.pop(0)

    return receive


def piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


async def test_pieces_are_put_together() -> None:
    assert await read_body(arriving(piece(b"ab", more=True), {"type": "http.request"}), 10) == b"ab"


async def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert await read_body(arriving(piece(b"12345", more=False)), 5) == b"12345"


async def test_a_body_above_the_limit_is_refused_before_its_end() -> None:
    with pytest.raises(MessageTooLarge):
        await read_body(arriving(piece(b"123456", more=True)), 5)


async def test_a_client_that_leaves_is_noticed() -> None:
    with pytest.raises(ClientDisconnect):
        await read_body(arriving(piece(b"1", more=True), GONE), 5)


async def test_a_body_is_read_again_and_then_the_connection() -> None:
    receive = replay(b"body", arriving(GONE))

    assert await read_body(receive, 10) == b"body"
    assert await receive() == GONE
