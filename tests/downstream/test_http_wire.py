"""Peers that are slow, large or many, as bytes on a socket (R-SLOW-1). Deadlines are short, and asserted doubled."""

from __future__ import annotations

import json
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil
import pytest
from anyio.abc import ByteStream
from mcp_gateway.downstream.admission import Caps
from mcp_gateway.downstream.body import read_body
from mcp_gateway.downstream.http_wire import Bounds
from starlette.types import Receive, Scope, Send

from tests.gateway import Gateway
from tests.interaction.asking import until
from tests.interaction.house import FEW_BUILTINS, Served, house, served
from tests.support import require

SHORT_S = 0.4
BOUNDS = Bounds(head_s=SHORT_S, body_s=SHORT_S, idle_s=SHORT_S, stall_s=SHORT_S)
HEAD = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@asynccontextmanager
async def line(served: Served) -> AsyncIterator[ByteStream]:
    host, port = served.origin.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        yield stream


async def rest(stream: ByteStream) -> bytes:
    """Everything until the other side ends, which must be soon."""
    received = b""
    with anyio.fail_after(5):
        while True:
            try:
                received += await stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return received


async def push(stream: ByteStream, pieces: list[bytes], pause_s: float = 0) -> None:
    """Send until the other side has had enough."""
    with suppress(anyio.BrokenResourceError):
        for piece in pieces:
            await stream.send(piece)
            await anyio.sleep(pause_s)


async def one(stream: ByteStream) -> bytes:
    """What comes next."""
    with anyio.fail_after(5):
        return await stream.receive()


async def body(stream: ByteStream) -> None:
    """The answer to HEALTH to its end."""
    received = b""
    while not received.endswith(b"ok\n"):
        received += await one(stream)


def refused(response: bytes) -> tuple[int, str]:
    """Status, and the stable code of the body."""
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"connection: close" in head
    return int(head.split()[1]), json.loads(body)["details"]["code"]


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"ok\n"})


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Their transports are different code."""
    require(not request.param or find_spec("uvloop") is not None, "uvloop is not installed here")
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def doors() -> AsyncIterator[Served]:
    async with served(hello, bounds=BOUNDS) as serving:
        yield serving


@pytest.mark.parametrize("sent", [b"", b"G", b"POST /mcp HTTP/1.1\r\nHost: loc", HEALTH + b"GET /"])
async def test_r_slow_1_half_a_head_ends_the_connection(doors: Served, sent: bytes) -> None:
    began_s = time.monotonic()
    async with line(doors) as stream:
        await stream.send(sent)
        response = await rest(stream)

    if sent.startswith(HEALTH):
        assert b"ok\n" in response
    else:
        assert refused(response) == (408, "too_slow")
    assert time.monotonic() - began_s < 2 * SHORT_S + SHORT_S


async def test_r_slow_1_a_head_that_trickles_in_ends_too(doors: Served) -> None:
    async with line(doors) as stream:
        await stream.send(HEALTH[:-2])
        began_s = time.monotonic()
        async with anyio.create_task_group() as group:
            group.start_soon(push, stream, [b"x: 1\r\n"] * 40, SHORT_S / 10)
            assert refused(await rest(stream)) == (408, "too_slow")
            group.cancel_scope.cancel()
        assert time.monotonic() - began_s < 2 * SHORT_S


async def test_r_slow_1_half_a_body_ends_the_connection_at_every_door(tmp_path: Path) -> None:
    async with house(tmp_path, bounds=BOUNDS) as home:
        for path in (b"/mcp", b"/messages/?session_id=1", b"/api/v1/tools/up__echo/call"):
            began_s = time.monotonic()
            async with line(home.doors) as stream:
                await stream.send(HEAD % path + b'{"half":')
                assert refused(await rest(stream)) == (408, "too_slow"), path
            assert time.monotonic() - began_s < 2 * SHORT_S
    assert home.doors.server.admission.count == 0


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads a body to its end before it answers."""
    if scope["type"] == "http":
        await read_body(receive, 1000)
        await hello(scope, receive, send)


async def test_r_slow_1_hundreds_of_half_requests_end_and_others_are_served() -> None:
    async with (
        served(silent, bounds=BOUNDS) as doors,
        anyio.create_task_group() as group,
        httpx2.AsyncClient(base_url=doors.origin) as others,
    ):

        async def half(number: int) -> None:
            async with line(doors) as stream:
                await stream.send(HEALTH[:20] if number % 2 else HEAD % b"/mcp")
                assert refused(await rest(stream)) == (408, "too_slow")

        for number in range(300):
            group.start_soon(half, number)
        await until(lambda: doors.server.admission.count > 200)
        began_s = time.monotonic()
        assert (await others.get("/healthz")).text == "ok\n"
        assert time.monotonic() - began_s < 3
    await until(lambda: doors.server.admission.count == 0)


async def test_a_connection_that_is_kept_alive_may_not_idle_for_ever(doors: Served) -> None:
    async with line(doors) as stream:
        for _ in range(3):
            await stream.send(HEALTH)
            await body(stream)
        began_s = time.monotonic()
        assert await rest(stream) == b""

    assert time.monotonic() - began_s < 2 * SHORT_S


BIG_HEADS = {
    "long field": HEALTH[:-2] + b"x: " + b"y" * 40_000 + b"\r\n\r\n",
    "long address": b"GET /" + b"y" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many fields": HEALTH[:-2] + b"x: y\r\n" * 101 + b"\r\n",
    "endless field": HEALTH[:-2] + b"x: " + b"y" * 2_000_000,
    "endless name": HEALTH[:-2] + b"y" * 2_000_000,
    "endless fields": HEALTH[:-2] + b"x: y\r\n" * 200_000,
}


@pytest.mark.parametrize("head", BIG_HEADS.values(), ids=BIG_HEADS)
async def test_a_large_head_is_refused(head: bytes) -> None:
    async with served(hello, bounds=Bounds()) as doors, line(doors) as stream, anyio.create_task_group() as group:
        group.start_soon(push, stream, [head])
        assert refused(await rest(stream)) == (431, "message_too_large")
        group.cancel_scope.cancel()


async def test_a_head_just_within_the_limits_is_served(doors: Served) -> None:
    head = HEALTH[:-2] + b"x: y\r\n" * 98 + b"z: " + b"y" * 30_000 + b"\r\n\r\n"
    async with line(doors) as stream:
        await stream.send(head)
        await body(stream)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the value of the field `x`, in brackets."""
    if scope["type"] == "http":
        value = dict(scope["headers"])[b"x"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"[%s]" % value})


async def test_white_space_around_a_value_is_no_part_of_it() -> None:
    async with served(echo, bounds=BOUNDS) as doors, line(doors) as stream:
        await stream.send(HEALTH[:-2] + b"X: \t in between \t \r\n\r\n")
        assert (await rest(stream)).endswith(b"[in between]\r\n0\r\n\r\n")


@pytest.mark.parametrize("sent", [b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"])
async def test_what_is_not_http_is_told_so(doors: Served, sent: bytes) -> None:
    async with line(doors) as stream:
        await stream.send(sent)
        assert refused(await rest(stream)) == (400, "invalid_params")


async def test_the_rest_of_a_body_that_was_answered_is_no_request_and_keeps_nothing_open(doors: Served) -> None:
    async with line(doors) as stream:
        await stream.send(HEAD % b"/")
        response = await one(stream)
        await stream.send(HEALTH)
        assert await rest(stream) == b""

    assert b"200" in response.split(b"\r\n")[0]


class Flood:
    """An application that answers with pieces for as long as they are taken, and knows how many were."""

    def __init__(self, pieces: int, size: int, pause_s: float = 0) -> None:
        self.pieces = pieces
        self.piece = b"x" * size
        self.pause_s = pause_s
        self.sent = 0
        self.ended = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with anyio.create_task_group() as group:

            async def leave() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(leave)
            for _ in range(self.pieces):
                await send({"type": "http.response.body", "body": self.piece, "more_body": True})
                self.sent += 1
                await anyio.sleep(self.pause_s)
            await send({"type": "http.response.body", "body": b""})
        self.ended.set()


FLOODS: dict[str, dict[str, Any]] = {
    "one large answer": {"pieces": 1, "size": 16_000_000},
    "a stream of events": {"pieces": 1_000_000, "size": 100_000},
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_r_slow_1_a_response_that_nobody_takes_ends(flood: dict[str, Any]) -> None:
    app = Flood(**flood)
    async with served(app, bounds=BOUNDS) as doors, line(doors) as stream:
        await stream.send(HEALTH)
        await one(stream)
        began_s = time.monotonic()
        with anyio.fail_after(5):
            await app.ended.wait()
        await until(lambda: doors.server.admission.count == 0)

        assert time.monotonic() - began_s < 2 * SHORT_S + 0.5  # and what the kernel's buffers take to fill
        assert app.sent * len(app.piece) < 32_000_000


async def test_r_slow_1_the_little_that_is_left_of_a_response_ends_too() -> None:
    app = Flood(pieces=1, size=60_000)
    async with served(app, bounds=BOUNDS) as doors:
        doors.listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.connect(doors.listener.getsockname())
            peer.send(HEALTH)
            await until(lambda: app.sent)
            began_s = time.monotonic()
            await until(lambda: doors.server.admission.count == 0)

    assert SHORT_S / 2 < time.monotonic() - began_s < 4 * SHORT_S


async def test_r_slow_1_a_response_taken_byte_by_byte_ends() -> None:
    app = Flood(pieces=1, size=16_000_000)
    bounds = replace(BOUNDS, stall_s=2 * SHORT_S)
    async with served(app, bounds=bounds) as doors, line(doors) as stream:
        await stream.send(HEALTH)
        with anyio.fail_after(5):
            while not app.ended.is_set():
                try:
                    await stream.receive(1)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    break
                await anyio.sleep(SHORT_S / 20)
        await until(lambda: doors.server.admission.count == 0)


async def test_a_response_that_is_taken_slowly_but_steadily_arrives_whole() -> None:
    app = Flood(pieces=40, size=400_000)
    async with served(app, bounds=BOUNDS) as doors, line(doors) as stream:
        await stream.send(HEALTH)
        taken = 0
        began_s = time.monotonic()
        while taken < app.pieces * len(app.piece):
            taken += len(await stream.receive(300_000))
            await anyio.sleep(SHORT_S / 20)

        assert time.monotonic() - began_s > SHORT_S


async def test_a_connection_too_many_is_told_when_to_come_back() -> None:
    async with served(hello, bounds=replace(BOUNDS, head_s=5, caps=Caps(overall=1))) as doors:
        async with line(doors) as first:
            await until(lambda: doors.server.admission.count == 1)
            async with line(doors) as second:
                await second.send(HEALTH)
                response = await rest(second)
            assert refused(response) == (503, "overloaded")
            assert b"retry-after: 1\r\n" in response
            await first.send(HEALTH)
            assert b"200" in await one(first)
        await until(lambda: doors.server.admission.count == 0)
        async with line(doors) as third:
            await third.send(HEALTH)
            assert b"200" in await one(third)


RECOVERS_WITHIN_S = 10.0


def status_within(limit_s: float, gateway: Gateway) -> Any:
    """What the gateway says once it takes connections again: libuv resets those that it found no descriptor for."""
    ends_s = time.monotonic() + limit_s
    while True:
        try:
            return gateway.get_json("/api/v1/status")
        except ConnectionError:
            assert time.monotonic() < ends_s
            time.sleep(0.05)  # between two tries


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets another process's limits")
def test_a_gateway_that_is_out_of_files_does_not_spin_and_recovers(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {}, "tools": FEW_BUILTINS}) as gateway:
        process = psutil.Process(gateway.pid)
        old = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (process.num_fds() + 5, old[1]))
        host, port = gateway.origin.removeprefix("http://").split(":")
        peers = [socket.create_connection((host, int(port)), timeout=5) for _ in range(60)]
        before_s = process.cpu_times().user + process.cpu_times().system
        time.sleep(1.0)  # the span that is measured
        used_s = process.cpu_times().user + process.cpu_times().system - before_s
        for peer in peers:
            peer.close()

        assert used_s < 0.5
        assert status_within(RECOVERS_WITHIN_S, gateway)["sessions"] == 0
        assert len(gateway.log.splitlines()) < 20
