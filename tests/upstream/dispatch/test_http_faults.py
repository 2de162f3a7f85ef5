"""Streamable HTTP with a misbehaving upstream: the right error, at once, and the next call works."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Awaitable, Callable

import anyio
import pytest
from mcp_gateway.errors import (
    GatewayError,
    UpstreamDisconnected,
    UpstreamMessageTooLarge,
    UpstreamProtocolError,
    UpstreamUnavailable,
)

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.https import echo, http
from tests.upstream.dispatch.pipes import ask, wait_forever

CAP = 100_000
INFLATED = 10_000_000
PACKED = gzip.compress(b"[" + b" " * INFLATED + b"]")
Fault = Callable[[Request, Wire], Awaitable[None]]


def body(text: str, content_type: str = "application/json") -> Fault:
    async def script(request: Request, wire: Wire) -> None:
        told = text.replace("ID", str(request.json["id"]))
        await wire.whole(200, told.encode("utf-8", "surrogateescape"), content_type=content_type)

    return script


def raw(data: bytes) -> Fault:
    async def script(request: Request, wire: Wire) -> None:
        await wire.send(data)
        wire.close()

    return script


def events(data: bytes, *, end: bool = True) -> Fault:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        if data:
            await wire.chunk(data.replace(b"ID", str(request.json["id"]).encode()))
        if end:
            await wire.end_events()
        else:
            wire.reset()

    return script


def silent_end(*, reset: bool) -> Fault:
    async def script(request: Request, wire: Wire) -> None:
        wire.reset() if reset else wire.close()

    return script


async def endless_head(request: Request, wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\n")
    for _ in range(100):
        await wire.send(b"x-filler: " + b"y" * 1000 + b"\r\n")
    await anyio.sleep_forever()


async def endless_header(request: Request, wire: Wire) -> None:
    await wire.send(b"HTTP/1.1 200 OK\r\nx-filler: ")
    for _ in range(100):
        await wire.send(b"y" * 1000)
    await anyio.sleep_forever()


async def endless_body(request: Request, wire: Wire) -> None:
    await wire.head(200, {"content-type": "application/json", "transfer-encoding": "chunked"})
    for _ in range(CAP // 1000 + 1):
        await wire.chunk(b" " * 1000)
    await anyio.sleep_forever()


async def endless_event(request: Request, wire: Wire) -> None:
    await wire.begin_events()
    for _ in range(CAP // 1000 + 1):
        await wire.chunk(b"data: " + b"x" * 1000 + b"\n")
    await anyio.sleep_forever()


async def endless_line(request: Request, wire: Wire) -> None:
    await wire.begin_events()
    for _ in range(CAP // 1000 + 1):
        await wire.chunk(b"x" * 1000)
    await anyio.sleep_forever()


async def long_promise(request: Request, wire: Wire) -> None:
    await wire.head(200, {"content-type": "application/json", "content-length": str(CAP + 1)})
    await anyio.sleep_forever()


async def gzip_bomb(request: Request, wire: Wire) -> None:
    await wire.whole(200, PACKED, content_type="application/json", content_encoding="gzip")


async def accepted(request: Request, wire: Wire) -> None:
    await wire.whole(202, b"")


async def no_content(request: Request, wire: Wire) -> None:
    await wire.head(204, {})


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"

FAULTS: dict[str, tuple[Fault, type[GatewayError]]] = {
    "html": (body("<html></html>", "text/html"), UpstreamProtocolError),
    "no content type": (raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"), UpstreamProtocolError),
    "empty 200": (body(""), UpstreamProtocolError),
    "202 for a call": (accepted, UpstreamProtocolError),
    "204 for a call": (no_content, UpstreamProtocolError),
    "not JSON": (body("{nope"), UpstreamProtocolError),
    "not an object": (body("7"), UpstreamProtocolError),
    "an array": (body('[{"id": ID, "result": {}}]'), UpstreamProtocolError),
    "not UTF-8": (body('{"id": ID, "result": {"x": "\udcff"}}'), UpstreamProtocolError),
    "NaN": (body('{"id": ID, "result": {"x": NaN}}'), UpstreamProtocolError),
    "a lone surrogate": (body('{"id": ID, "result": {"x": "\\ud800"}}'), UpstreamProtocolError),
    "very deep": (body('{"id": ID, "result": ' + "[" * 500 + "]" * 500 + "}"), UpstreamProtocolError),
    "another id": (body('{"id": 99, "result": {}}'), UpstreamProtocolError),
    "no id": (body('{"result": {}}'), UpstreamProtocolError),
    "no result": (body('{"id": ID}'), UpstreamProtocolError),
    "result and error": (body('{"id": ID, "result": {}, "error": {"code": 1}}'), UpstreamProtocolError),
    "error is text": (body('{"id": ID, "error": "no"}'), UpstreamProtocolError),
    "result is text": (body('{"id": ID, "result": "yes"}'), UpstreamProtocolError),
    "a request instead": (body('{"id": ID, "method": "ping"}'), UpstreamProtocolError),
    "compressed": (gzip_bomb, UpstreamProtocolError),
    "not HTTP": (raw(b"hello\r\n\r\n"), UpstreamProtocolError),
    "switching protocols": (
        raw(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
        UpstreamProtocolError,
    ),
    "endless head": (endless_head, UpstreamProtocolError),
    "endless header": (endless_header, UpstreamProtocolError),
    "huge head at once": (raw(b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n"), UpstreamProtocolError),
    "endless body": (endless_body, UpstreamMessageTooLarge),
    "length above the cap": (long_promise, UpstreamMessageTooLarge),
    "endless event": (endless_event, UpstreamMessageTooLarge),
    "endless line in a stream": (endless_line, UpstreamMessageTooLarge),
    "closed": (silent_end(reset=False), UpstreamDisconnected),
    "reset": (silent_end(reset=True), UpstreamDisconnected),
    "half a head": (raw(HEAD), UpstreamDisconnected),
    "short body": (raw(HEAD + b"content-length: 100\r\n\r\n{}"), UpstreamDisconnected),
    "broken chunking": (raw(CHUNKED + b"zz\r\n{}\r\n"), UpstreamDisconnected),
    "unfinished chunking": (raw(CHUNKED + b"2\r\n{}\r\n"), UpstreamDisconnected),
    "two lengths": (raw(HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\n{}"), UpstreamProtocolError),
    "stream ends": (events(b""), UpstreamDisconnected),
    "stream of comments ends": (events(b": hello\n\n"), UpstreamDisconnected),
    "stream reset": (events(b"", end=False), UpstreamDisconnected),
    "half an event": (events(b'data: {"id": ID, "result": {}}\n'), UpstreamDisconnected),
    "event is not JSON": (events(b"data: nope\n\n"), UpstreamProtocolError),
    "event is an array": (events(b'data: [{"id": ID, "result": {}}]\n\n'), UpstreamProtocolError),
    "event of another id": (events(b'data: {"id": 99, "result": {}}\n\n'), UpstreamProtocolError),
    "only events of other types": (events(b'event: x\ndata: {"id": ID, "result": {}}\n\n'), UpstreamDisconnected),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_is_the_right_error_at_once_and_costs_only_its_call(name: str) -> None:
    fault, expected = FAULTS[name]

    async def script(request: Request, wire: Wire) -> None:
        await (fault if request.json["method"] == "tools/call" else echo)(request, wire)

    async with scripted(script) as server, http(server.url, max_message_bytes=CAP) as upstream:
        with anyio.fail_after(3):
            with pytest.raises(expected) as failed:
                await upstream.call("tools/call", {})
            assert await ask(upstream, "tools/list", {}) == {"echo": {}}
        assert "nope" not in failed.value.message
        assert len(server.calls("tools/call")) == 1


async def test_r_zip_1_a_compressed_answer_is_not_asked_for_and_not_inflated() -> None:
    tracemalloc.start()
    try:
        async with scripted(gzip_bomb) as server, http(server.url, max_message_bytes=CAP) as upstream:
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            with pytest.raises(UpstreamProtocolError):
                await upstream.call("tools/call", {})
            grown = tracemalloc.get_traced_memory()[1] - before
            (request,) = server.calls("tools/call")
    finally:
        tracemalloc.stop()

    assert request.header("accept-encoding") in (None, "identity")
    assert grown < INFLATED / 2


async def test_a_port_that_nobody_listens_on_is_unavailable() -> None:
    async with scripted(echo) as server:
        url = server.url
    async with http(url) as upstream:
        with pytest.raises(UpstreamUnavailable, match="connection refused"):
            await upstream.call("tools/call", {})


async def test_a_host_that_does_not_exist_is_unavailable() -> None:
    async with http("http://nowhere.invalid/mcp") as upstream:
        with pytest.raises(UpstreamUnavailable, match="host name was not found"):
            await upstream.call("tools/call", {})


async def test_an_answer_that_lasts_until_the_connection_closes_is_complete() -> None:
    answer = HEAD + b'connection: close\r\n\r\n{"id": 1, "result": {"ok": 1}}'
    async with scripted(raw(answer)) as server, http(server.url) as upstream:
        assert await ask(upstream, "tools/call", {}) == {"ok": 1}


async def test_an_interim_answer_is_passed_over() -> None:
    answer = HEAD + b'content-length: 30\r\n\r\n{"id": 1, "result": {"ok": 1}}'
    async with scripted(raw(b"HTTP/1.1 100 Continue\r\n\r\n" + answer)) as server, http(server.url) as upstream:
        assert await ask(upstream, "tools/call", {}) == {"ok": 1}


async def test_an_answer_byte_by_byte_is_understood() -> None:
    async def script(request: Request, wire: Wire) -> None:
        for byte in HEAD + b'content-length: 30\r\n\r\n{"id": 1, "result": {"ok": 1}}':
            await wire.send(bytes([byte]))

    async with scripted(script) as server, http(server.url) as upstream:
        assert await ask(upstream, "tools/call", {}) == {"ok": 1}


async def test_two_answers_to_one_request_do_not_reach_the_next_call() -> None:
    async def script(request: Request, wire: Wire) -> None:
        id = request.json["id"]
        answer = HEAD + b'content-length: 30\r\n\r\n{"id": %d, "result": {"n": %d} }'
        await wire.send(answer % (id, 1) + answer % (id + 1, 2))

    async with scripted(script) as server, http(server.url) as upstream:
        for _ in range(3):
            assert await ask(upstream, "tools/call", {}) == {"n": 1}
        assert server.connections == 3


async def test_a_second_answer_on_a_stream_is_dropped() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        id = request.json["id"]
        await wire.chunk(b'data: {"id": %d, "result": {"n": 1}}\n\ndata: {"id": %d, "result": {"n": 2}}\n\n' % (id, id))
        await wire.end_events()

    async with scripted(script) as server, http(server.url) as upstream:
        assert await ask(upstream, "tools/call", {}) == {"n": 1}
        assert await ask(upstream, "tools/call", {}) == {"n": 1}
        assert server.connections == 1


async def test_a_stream_left_open_after_its_answer_does_not_delay_the_answer() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        await wire.event({"id": request.json["id"], "result": {}})
        await wait_forever("", {})

    async with scripted(script) as server, http(server.url) as upstream:
        with anyio.fail_after(5):
            await upstream.call("tools/call", {})
            await server.gone.wait()


async def test_a_sink_that_fails_does_not_end_the_call() -> None:
    class Broken:
        owner = "client"
        token: str | int | None = None

        def notify(self, method: str, params: object) -> None:
            raise RuntimeError("a door's fault")

        request = staticmethod(wait_forever)

    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        await wire.event({"method": "notifications/message", "params": {}})
        await wire.event({"id": request.json["id"], "result": {}})
        await wire.end_events()

    async with scripted(script) as server, http(server.url) as upstream:
        await upstream.call("tools/call", {}, Broken())
        assert upstream.faults == {"receiver_failed": 1}
