"""Answers as event streams: written line by line, kept alive, and ended with the call or with the client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import takewhile
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx2
import pytest
from mcp_gateway.call import Sink
from mcp_gateway.downstream.event_stream import EventStream
from mcp_gateway.errors import RateLimited, UpstreamTimeout
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.downstream.rest.errors import code
from tests.downstream.streams import events
from tests.interaction.house import house, served

PROGRESS = "notifications/progress"
ASKS_FOR_EVENTS = {"Accept": "text/event-stream"}


@asynccontextmanager
async def streaming(run: Callable[[Sink], Awaitable[bytes]], **options: float) -> AsyncIterator[httpx2.AsyncClient]:
    """A door whose every answer is the stream of one call."""

    async def answer(request: Request) -> Response:
        return EventStream(run, "me", **options)

    with anyio.fail_after(10):
        async with (
            served(Starlette(routes=[Route("/", answer)])) as door,
            httpx2.AsyncClient(base_url=door.origin, timeout=10) as client,
        ):
            yield client


async def test_progress_comes_before_the_answer(http: httpx2.AsyncClient) -> None:
    response = await http.post("/api/v1/tools/up__progress/call", headers=ASKS_FOR_EVENTS)
    told = events(response.text)

    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert [(event.id, event.kind) for event in told] == [
        (1, "progress"),
        (2, "progress"),
        (3, "progress"),
        (4, "done"),
    ]
    assert told[0].data == {"progress": 1, "total": 3, "message": "step 1"}
    assert told[-1].data["content"] == [{"type": "text", "text": "done"}]


@pytest.mark.filterwarnings("ignore:The logging capability is deprecated")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_log_messages_come_too(tmp_path: Path, era: str) -> None:
    async with house(tmp_path, era=era) as home, httpx2.AsyncClient(base_url=home.origin, timeout=10) as http:
        told = events((await http.post("/api/v1/tools/up__log/call", json={"stream": True})).text)

    assert ("log", {"level": "warning", "data": "careful"}) in [(event.kind, event.data) for event in told]


async def test_a_tool_that_fails_is_done(http: httpx2.AsyncClient) -> None:
    (only,) = events((await http.post("/api/v1/tools/up__fail/call", json={"stream": True})).text)

    assert (only.kind, only.data["isError"]) == ("done", True)


async def test_the_bodys_own_word_wins_over_the_header(http: httpx2.AsyncClient) -> None:
    body = {"stream": False}
    response = await http.post("/api/v1/tools/up__echo/call", json=body, headers=ASKS_FOR_EVENTS)

    assert response.headers["content-type"] == "application/json"


async def test_a_call_that_fails_at_once_has_its_status(http: httpx2.AsyncClient) -> None:
    response = await http.post("/api/v1/tools/up__nothing/call", headers=ASKS_FOR_EVENTS)

    assert code(response) == (404, "unknown_name")


async def test_when_to_try_again_is_told() -> None:
    async def run(sink: Sink) -> bytes:
        failed = RateLimited("too fast")
        failed.retry_after_s = 1.2
        raise failed

    async with streaming(run) as client:
        response = await client.get("/")

    assert (code(response), response.headers["retry-after"]) == ((429, "rate_limited"), "2")


async def test_a_call_that_fails_later_ends_with_the_error_body() -> None:
    async def run(sink: Sink) -> bytes:
        sink.notify(PROGRESS, {"progress": 1})
        await anyio.lowlevel.checkpoint()
        raise UpstreamTimeout("no answer within 5 s", server="up")

    async with streaming(run) as client:
        told = events((await client.get("/")).text)

    assert [event.kind for event in told] == ["progress", "error"]
    assert told[-1].data["details"] == {"code": "upstream_timeout", "server": "up"}


async def test_a_fault_of_ours_is_not_told_in_detail() -> None:
    async def run(sink: Sink) -> bytes:
        raise ValueError("s3cret")

    async with streaming(run) as client:
        response = await client.get("/")

    assert code(response) == (500, "internal_error")
    assert "s3cret" not in response.text


async def test_silence_is_broken_by_a_comment() -> None:
    heard = anyio.Event()

    async def run(sink: Sink) -> bytes:
        await heard.wait()
        return b"{}"

    async with streaming(run, heartbeat_s=0.05) as client, client.stream("GET", "/") as response:
        lines = response.aiter_lines()
        first = await anext(lines)
        heard.set()
        rest = [line async for line in lines]

    assert first == ":"
    assert list(takewhile(bool, reversed(rest[:-1]))) == ["data: {}", "event: done", "id: 1"]


async def test_an_answer_over_several_lines_stays_one_event() -> None:
    async def run(sink: Sink) -> bytes:
        return b'{\r\n  "a": 1,\n  "b": 2\n}'

    async with streaming(run) as client:
        (only,) = events((await client.get("/")).text)

    assert only.data == {"a": 1, "b": 2}


async def test_the_call_of_a_client_that_stops_reading_ends() -> None:
    ended = anyio.Event()

    async def run(sink: Sink) -> bytes:
        try:
            while True:
                sink.notify("notifications/message", {"level": "info", "data": "x" * 100_000})
                await anyio.lowlevel.checkpoint()
        finally:
            ended.set()

    async with streaming(run, taken_within_s=0.2) as client:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        async with await anyio.connect_tcp(host, port) as deaf:
            await deaf.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            await ended.wait()
