"""Streams that stand until somebody ends them end with their key, each by itself."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp_gateway.downstream.identity import identified
from mcp_gateway.downstream.standing import Standing
from mcp_gateway.errors import Unauthorized
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from mcp_gateway.security.principal import Principal
from starlette.types import Message, Receive, Scope, Send

from tests.interaction.house import House, house
from tests.interaction.posting import HEADERS, Session
from tests.interaction.sockets import socket

KEY, OTHER = new_key(), new_key()
LATE = ApiKey("late", hashed(KEY))

ENDS_WITHIN_S = 8.0
"""A second of the gateway's, and what a loaded machine of 2 cores takes; without the look at the keys it never ends."""

LISTEN = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "subscriptions/listen",
    "params": {
        "notifications": {"toolsListChanged": True},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "0"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    },
}
LISTEN_HEADERS = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    keys = [{"name": "other", "hash": hashed(OTHER)}]
    async with house(tmp_path, auth={"keys": keys}) as running:
        yield running


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """The keys of the state folder; `late` is among them."""
    store = KeyStore(tmp_path / "home" / KEYS_FILE)
    store.add(LATE)
    return store


@asynccontextmanager
async def opened(home: House, way: str, key: str) -> AsyncIterator[httpx2.Response]:
    """The response that a stream is, once its head has come."""
    headers = {**HEADERS, "X-API-Key": key}
    async with (
        httpx2.AsyncClient(base_url=home.origin, headers=headers, timeout=20) as http,
        await _stream(home, http, way, key) as stream,
    ):
        assert stream.status_code == 200
        yield stream


async def _stream(
    home: House, http: httpx2.AsyncClient, way: str, key: str
) -> AbstractAsyncContextManager[httpx2.Response]:
    match way:
        case "sse":
            return http.stream("GET", "/sse")
        case "listen":
            return http.stream("POST", "/mcp", headers=LISTEN_HEADERS, json=LISTEN)
    session = Session(home.url)
    session.headers["X-API-Key"] = key
    async with session:
        return http.stream("GET", "/mcp", headers=session.headers)


WAYS = ("sse", "listen", "session")


async def ended(stream: httpx2.Response) -> None:
    """Read to the end, which is that of a whole response: a cut one raises."""
    with anyio.fail_after(ENDS_WITHIN_S):
        async for _ in stream.aiter_bytes():
            pass


async def test_every_stream_ends_when_its_key_is_revoked(home: House, store: KeyStore) -> None:
    async with AsyncExitStack() as streams:
        opening = [await streams.enter_async_context(opened(home, way, KEY)) for way in WAYS]
        line = await streams.enter_async_context(socket(home.origin, additional_headers={"X-API-Key": KEY}))
        store.revoke("late")
        for stream in opening:
            await ended(stream)
        assert await line.closed() == (1008, "the key is not accepted any more")


async def test_every_stream_ends_when_its_key_expires(home: House, store: KeyStore) -> None:
    async with AsyncExitStack() as streams:
        store.revoke("late")
        store.add(replace(LATE, expires_unix_s=time.time() + 2))
        opening = [await streams.enter_async_context(opened(home, way, KEY)) for way in WAYS]
        line = await streams.enter_async_context(socket(home.origin, additional_headers={"X-API-Key": KEY}))
        for stream in opening:
            await ended(stream)
        assert await line.closed() == (1008, "the key is not accepted any more")


async def test_a_stream_ends_when_its_key_is_narrowed(home: House, store: KeyStore) -> None:
    async with opened(home, "listen", KEY) as stream:
        store.revoke("late")
        store.add(replace(LATE, scopes=frozenset({"read"})))
        await ended(stream)


async def test_the_streams_of_other_keys_go_on(home: House, store: KeyStore) -> None:
    async with opened(home, "listen", OTHER) as kept, opened(home, "listen", KEY) as ending:
        store.revoke("late")
        await ended(ending)
        async with httpx2.AsyncClient(base_url=home.origin, headers={"X-API-Key": OTHER}) as http:
            await http.post("/api/v1/tools/up__grow/call", json={})
        with anyio.fail_after(ENDS_WITHIN_S):
            async for text in kept.aiter_text():
                if "notifications/tools/list_changed" in text:
                    break


# -- by itself -------------------------------------------------------------------------------------------------------


async def refusing(scope: Scope, admitted: Principal) -> Principal:
    raise Unauthorized("revoked")


async def answered(app: Any, **scope: Any) -> list[Message]:
    """What a door behind `Standing` answers to somebody who is not let in any more."""
    sent: list[Message] = []

    async def receive() -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    with anyio.fail_after(5):
        asked = {"type": "http", "path": "/", "method": "GET", "headers": [], **scope}
        await Standing(app, refusing)(identified(asked, Principal("key:late")), receive, send)
    return sent


async def until_left(scope: Scope, receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def test_a_stream_that_had_not_begun_is_refused() -> None:
    start, body = await answered(until_left)

    assert start["status"] == 401
    assert b"unauthorized" in body["body"]


async def test_what_has_been_answered_in_full_is_left_alone() -> None:
    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})
        await until_left(scope, receive, send)

    assert [message["type"] for message in await answered(whole)] == ["http.response.start", "http.response.body"]


async def test_a_failure_of_the_door_comes_out_as_it_is() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("of the door")

    with pytest.raises(LookupError, match="of the door"):
        await answered(failing)


async def test_a_call_that_was_allowed_when_it_began_ends_by_itself() -> None:
    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.move_on_after(0.2) as waiting:
            await receive()
        assert waiting.cancelled_caught, "the call was told that its client had left"

    assert await answered(call, method="POST") == []
