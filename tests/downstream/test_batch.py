"""Batches of JSON-RPC, for the one revision that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.downstream.batch import MOST

from tests.interaction.asking import until
from tests.interaction.house import House, house
from tests.interaction.posting import Session, messages


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


@pytest.fixture
async def session(home: House) -> AsyncIterator[Session]:
    async with Session(home.url, revision="2025-03-26") as opened:
        yield opened


def echo(id: int, text: str) -> dict[str, Any]:
    params = {"name": "up__echo", "arguments": {"text": text}}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}


PING = {"jsonrpc": "2.0", "id": "ping", "method": "ping"}
NOTED = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}}


async def test_every_request_is_answered_and_no_notification(session: Session) -> None:
    response = await session.post([echo(1, "one"), NOTED, PING, echo(2, "two")])
    answers = {message["id"]: message["result"] for message in messages(response)}

    assert response.headers["content-type"] == "text/event-stream"
    assert answers.keys() == {1, 2, "ping"}
    assert [answers[id]["content"][0]["text"] for id in (1, 2)] == ["one", "two"]


async def test_notifications_alone_are_accepted(session: Session) -> None:
    response = await session.post([NOTED, NOTED])

    assert (response.status_code, response.content) == (202, b"")


async def test_one_that_is_no_message_spoils_no_other(session: Session) -> None:
    response = await session.post([echo(1, "one"), 5, {"id": 2}])
    codes = [message["error"]["code"] for message in messages(response) if "error" in message]

    assert codes == [-32600, -32600]
    assert [message["id"] for message in messages(response) if "result" in message] == [1]


@pytest.mark.parametrize(
    "batch",
    [
        b"[]",
        b'[{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b"[" + b",".join([b"{}"] * (MOST + 1)) + b"]",
        b'[{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}]',
    ],
)
async def test_what_is_no_batch_is_refused(session: Session, batch: bytes) -> None:
    response = await session.post(batch)

    assert response.status_code == 400
    assert response.json()["error"]["code"] in (-32600, -32700)


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-06-18", "2025-11-25"])
async def test_other_revisions_have_none(home: House, revision: str) -> None:
    async with Session(home.url, revision=revision) as session:
        response = await session.post([PING])

    assert (response.status_code, response.json()["error"]["code"]) == (400, -32600)


async def test_a_call_of_a_batch_is_cancelled_by_its_id(home: House, session: Session) -> None:
    answers: list[dict[str, Any]] = []
    wait = {"name": "up__wait", "arguments": {"seconds": 60}}

    async def post() -> None:
        batch = [echo(1, "one"), {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": wait}]
        answers.extend(messages(await session.post(batch)))

    with anyio.fail_after(15):
        async with anyio.create_task_group() as group:
            group.start_soon(post)
            await until(lambda: home.everything.calls == 2)
            await session.tell("notifications/cancelled", {"requestId": 2})

    assert {answer["id"]: "error" in answer for answer in answers} == {1: False, 2: True}
