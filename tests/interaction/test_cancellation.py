"""Calls that are given up: which one ends upstream, and which go on."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client

from tests.interaction.asking import text_of, until
from tests.interaction.conftest import Connect
from tests.interaction.house import Door, House
from tests.interaction.posting import Session
from tests.interaction.requirements import shows


@shows("cancel")
async def test_a_cancelled_call_ends_upstream_and_no_other(home: House, connect: Connect) -> None:
    answers: list[str] = []

    async def wait(client: Client, scope: anyio.CancelScope, seconds: float) -> None:
        with scope:
            answers.append(text_of(await client.call_tool("up__wait", {"seconds": seconds})))

    given_up, kept = anyio.CancelScope(), anyio.CancelScope()
    async with connect() as client, anyio.create_task_group() as group:
        group.start_soon(wait, client, given_up, 60)
        group.start_soon(wait, client, kept, 1)
        await until(lambda: home.everything.calls == 2)
        given_up.cancel()
        with anyio.fail_after(1):
            await until(lambda: home.everything.cancelled == 1)

    assert answers == ["waited"]
    assert home.everything.cancelled == 1


@shows("cancel")
async def test_a_cancelled_call_is_not_counted_any_more(home: House, connect: Connect) -> None:
    async with connect() as client:
        with anyio.move_on_after(0.3):
            await client.call_tool("up__wait", {})
        await until(lambda: home.app.endpoint.in_flight.count == 0)


@shows("cancel-by-leaving")
async def test_a_modern_client_that_leaves_has_cancelled(home: House) -> None:
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    call = {"name": "up__wait", "arguments": {}, "_meta": meta}
    headers = {
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "up__wait",
        "Accept": "application/json, text/event-stream",
    }
    async with httpx2.AsyncClient() as http, anyio.create_task_group() as group:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
        group.start_soon(lambda: http.post(home.url, headers=headers, json=body, timeout=30))
        await until(lambda: home.everything.calls == 1)
        group.cancel_scope.cancel()

    await until(lambda: home.everything.cancelled == 1)


@shows("leaving-is-no-cancel")
async def test_a_legacy_client_that_loses_its_connection_has_not_cancelled(home: House) -> None:
    async with Session(home.url) as session:
        async with anyio.create_task_group() as group:
            group.start_soon(session.ask, 1, "tools/call", {"name": "up__wait", "arguments": {"seconds": 1}})
            await until(lambda: home.everything.calls == 1)
            group.cancel_scope.cancel()
        await until(lambda: home.app.endpoint.in_flight.count == 0)

    assert home.everything.cancelled == 0


@shows("leaving-is-no-cancel", "cancel")
async def test_a_legacy_call_whose_connection_was_lost_can_still_be_cancelled(home: House) -> None:
    async with Session(home.url) as session:
        async with anyio.create_task_group() as group:
            group.start_soon(session.ask, 1, "tools/call", {"name": "up__wait", "arguments": {}})
            await until(lambda: home.everything.calls == 1)
            group.cancel_scope.cancel()
        await session.tell("notifications/cancelled", {"requestId": 1})
        await until(lambda: home.everything.cancelled == 1)


@shows("same-ids")
async def test_requests_with_equal_ids_get_their_own_answers(home: House) -> None:
    answers: dict[str, Any] = {}

    async def ask(session: Session, name: str, arguments: dict[str, Any]) -> None:
        answers[name] = await session.ask(1, "tools/call", {"name": name, "arguments": arguments})

    async with Session(home.url) as session, anyio.create_task_group() as group:
        group.start_soon(ask, session, "up__wait", {"seconds": 1})
        await until(lambda: home.everything.calls == 1)
        await ask(session, "up__echo", {"text": "mine"})
        assert list(answers) == ["up__echo"]

    assert [answer["id"] for answer in answers.values()] == [1, 1]
    assert answers["up__echo"]["result"]["content"][0]["text"] == "mine"
    assert answers["up__wait"]["result"]["content"][0]["text"] == "waited"


@shows("same-ids", "cancel")
async def test_a_cancellation_that_could_mean_two_calls_ends_neither(home: House) -> None:
    wait = {"name": "up__wait", "arguments": {"seconds": 1}}
    async with Session(home.url) as session, anyio.create_task_group() as group:
        group.start_soon(session.ask, 1, "tools/call", wait)
        group.start_soon(session.ask, 1, "tools/call", wait)
        await until(lambda: home.everything.calls == 2)
        await session.tell("notifications/cancelled", {"requestId": 1})

    assert home.everything.cancelled == 0


@shows("cancel")
@pytest.mark.parametrize("id", [1, "1", "seven"])
async def test_a_request_is_cancelled_by_whatever_id_it_has(home: House, id: int | str) -> None:
    async with Session(home.url) as session, anyio.create_task_group() as group:
        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await session.ask(id, "tools/call", {"name": "up__wait", "arguments": {}}))

        group.start_soon(ask)
        await until(lambda: home.everything.calls == 1)
        await session.tell("notifications/cancelled", {"requestId": id})

    await until(lambda: home.everything.cancelled == 1)
    assert answers[0]["id"] == id
    assert "error" in answers[0]


@shows("cancel")
@pytest.mark.parametrize("door", [Door.STDIO_LEGACY], ids=["stdio"])
async def test_a_cancelled_request_on_a_pipe_is_not_answered(home: House, door: Door) -> None:
    async with home.lines() as (lines, write):
        for message in OPENING:
            await write(json.dumps(message).encode())
        await anext(lines)
        call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "up__wait", "arguments": {}}}
        await write(json.dumps(call).encode())
        await until(lambda: home.everything.calls == 1)
        await write(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}')
        await write(b'{"jsonrpc":"2.0","id":3,"method":"ping"}')

        assert json.loads(await anext(lines))["id"] == 3
        await until(lambda: home.everything.cancelled == 1)


OPENING: list[dict[str, Any]] = [
    {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "0"},
        },
    },
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
]
