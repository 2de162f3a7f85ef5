"""Peers that break the framing, or are not there any more: how their sockets are closed, and what becomes of calls."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any

import anyio
import anyio.abc
import pytest
from anyio import to_thread
from anyio.abc import SocketAttribute
from mcp_gateway.downstream.outbox import FULL
from mcp_gateway.downstream.server import MAX_FRAME_BYTES
from mcp_gateway.downstream.socket_wire import CONTROLS_AT_ONCE, MAX_FRAGMENTS
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode

from tests.downstream.own_door import door
from tests.gateway import Gateway
from tests.interaction.asking import until
from tests.interaction.house import House, Served
from tests.interaction.sockets import socket, text_of
from tests.test_serving import CONFIG

HANDSHAKE = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class Bare:
    """A socket after its handshake, in frames: it answers nothing by itself, and reads when it is told to."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream

    async def send(self, opcode: Opcode, data: bytes, *, fin: bool = True) -> None:
        await self.stream.send(Frame(opcode, data, fin).serialize(mask=True))

    async def call(self, id: int, tool: str, **arguments: Any) -> None:
        frame = {"id": id, "type": "call", "tool": tool, "arguments": arguments}
        await self.send(Opcode.TEXT, json.dumps(frame).encode())

    async def closed(self) -> int | None:
        """Read what is left, to the close frame at its end; None when there is none."""
        data = b""
        with anyio.fail_after(10):
            try:
                while True:
                    data += await self.stream.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                pass
        return _close_code(data)


def _close_code(data: bytes) -> int | None:
    """The frames of a server are not masked; the ones before the last are skipped by their lengths."""
    while len(data) >= 2:
        opcode, length, start = data[0] & 0x0F, data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start])
        if opcode == Opcode.CLOSE:
            return Close.parse(data[start : start + length]).code
        data = data[start + length :]
    return None


@asynccontextmanager
async def bare(doors: Served, *, holds_little: bool = False) -> AsyncIterator[Bare]:
    host, port = doors.origin.removeprefix("http://").split(":")
    async with await anyio.connect_tcp(host, int(port)) as stream:
        if holds_little:
            stream.extra(SocketAttribute.raw_socket).setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
        await stream.send(HANDSHAKE.format(host=f"{host}:{port}").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive(1)
        assert head.startswith(b"HTTP/1.1 101")
        yield Bare(stream)


async def waiting(home: House, line: Bare) -> None:
    """One call is under way."""
    await line.call(1, "up__wait")
    await until(lambda: home.everything.calls == 1)


async def cancelled(home: House) -> None:
    await until(lambda: home.everything.cancelled == 1)
    await until(lambda: home.app.endpoint.in_flight.count == 0)


async def test_a_binary_frame_closes_with_1003_and_cancels(home: House) -> None:
    async with bare(home.doors) as line:
        await waiting(home, line)
        await line.send(Opcode.BINARY, b"{}")

        assert await line.closed() == 1003
        await cancelled(home)


@pytest.mark.parametrize("fragments", [1, 4])
async def test_a_message_above_the_limit_closes_with_1009_and_cancels(home: House, fragments: int) -> None:
    piece = b" " * (MAX_FRAME_BYTES // fragments + 1)
    async with bare(home.doors) as line:
        await waiting(home, line)
        for number in range(fragments):
            await line.send(Opcode.CONT if number else Opcode.TEXT, piece, fin=number == fragments - 1)

        assert await line.closed() == 1009
        await cancelled(home)


async def test_a_message_of_the_largest_size_is_read(home: House) -> None:
    async with socket(home.origin) as line:
        frame = json.dumps({"id": 1, "type": "call", "tool": "up__echo", "arguments": {"text": "whole"}})
        await line.send(frame + " " * (MAX_FRAME_BYTES - len(frame)))

        assert text_of(await line.end_of(1)) == "whole"


async def test_a_flood_of_empty_fragments_closes_with_1009(home: House) -> None:
    async with bare(home.doors) as line:
        await waiting(home, line)
        await line.send(Opcode.TEXT, b"", fin=False)
        empty = Frame(Opcode.CONT, b"", fin=False).serialize(mask=True)
        await line.stream.send(empty * (MAX_FRAGMENTS + 10))

        assert await line.closed() == 1009
        await cancelled(home)


async def test_fragments_are_put_together(home: House) -> None:
    text = json.dumps(
        {"id": 1, "type": "call", "tool": "up__echo", "arguments": {"text": "é" * 100}}, ensure_ascii=False
    )
    data = text.encode()
    async with bare(home.doors) as line:
        for at in range(len(data)):
            await line.send(Opcode.CONT if at else Opcode.TEXT, data[at : at + 1], fin=at == len(data) - 1)
        await until(lambda: home.everything.calls == 1)


async def test_invalid_utf_8_closes_with_1007_and_cancels(home: House) -> None:
    async with bare(home.doors) as line:
        await waiting(home, line)
        await line.send(Opcode.TEXT, b'{"id":"\xff"}')

        assert await line.closed() == 1007
        await cancelled(home)


@pytest.mark.parametrize("data", [b"\x91\x80\x00\x00\x00\x00", b"\x81\x02{}", b"\x83\x80\x00\x00\x00\x00"])
async def test_a_broken_frame_closes_with_1002_and_cancels(home: House, data: bytes) -> None:
    """A bit that is reserved; no mask; an opcode there is not."""
    async with bare(home.doors) as line:
        await waiting(home, line)
        await line.stream.send(data)

        assert await line.closed() == 1002
        await cancelled(home)


async def test_a_peer_that_answers_no_ping_is_closed_with_1011_and_its_calls_cancelled(home: House) -> None:
    async with door(home, ping_s=0.2) as doors, bare(doors) as line:
        await waiting(home, line)

        assert await line.closed() == 1011
        await cancelled(home)


async def asks_much(home: House, line: Bare) -> None:
    """More than the buffers between the two hold, and none of it is read."""
    for id in range(8):
        await line.call(id, "up__echo", text="x" * 900_000)
    await until(lambda: home.everything.calls == 8)


async def until_there_is_room(doors: Served) -> None:
    """Until the only socket there may be is another one."""
    with anyio.fail_after(10):
        while True:
            async with socket(doors.origin) as line:
                try:
                    await line.call(1, "up__echo")
                except ConnectionClosed:
                    continue
                return


async def test_a_peer_that_is_gone_with_answers_untaken_is_cut_off(home: House) -> None:
    async with door(home, ping_s=0.5, sockets=1) as doors, bare(doors, holds_little=True) as line:
        await asks_much(home, line)

        await until_there_is_room(doors)
    assert home.app.endpoint.in_flight.count == 0


async def test_a_client_that_takes_nothing_is_cut_off_and_leaves_no_trace(home: House) -> None:
    async with door(home, taken_within_s=0.3, sockets=1) as doors, bare(doors, holds_little=True) as line:
        await asks_much(home, line)

        await until_there_is_room(doors)
    assert home.app.endpoint.in_flight.count == 0


async def test_a_client_that_takes_what_it_asked_for_is_not_cut_off(home: House) -> None:
    async with door(home, taken_within_s=3.0, sockets=1) as doors, socket(doors.origin) as line:
        for id in range(8):
            await line.say(id, "call", tool="up__echo", arguments={"text": "x" * 900_000})
        ends = [await line.next() for _ in range(8)]

    assert {frame["type"] for frame in ends} == {"result"}


async def test_a_peer_that_answers_pings_stays(home: House) -> None:
    async with door(home, ping_s=0.1) as doors, socket(doors.origin) as line:
        assert text_of(await line.call(1, "up__wait", seconds=0.8)) == "waited"


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_a_flood_of_pings_or_pongs_closes_with_1008_and_cancels(home: House, opcode: Opcode) -> None:
    async with bare(home.doors) as line:
        await waiting(home, line)
        await line.stream.send(Frame(opcode, b"x" * 125).serialize(mask=True) * (CONTROLS_AT_ONCE + 10))

        assert await line.closed() == 1008
        await cancelled(home)


async def test_a_ping_is_answered(home: House) -> None:
    async with socket(home.origin) as line:
        with anyio.fail_after(5):
            await (await line.wire.ping())


def test_a_gateway_that_stops_lets_calls_end_and_says_that_it_goes(tmp_path: Path) -> None:
    async def stay(gateway: Gateway) -> tuple[str, tuple[int | None, str]]:
        async with socket(gateway.origin) as idle, socket(gateway.origin) as line:
            await line.say(1, "call", tool="up__wait", arguments={"seconds": 1})
            with anyio.fail_after(10):
                while await to_thread.run_sync(lambda: gateway.get_json("/api/v1/status")["in_flight"]) != 1:  # noqa: ASYNC110 - the status announces nothing
                    await anyio.sleep(0.02)
            gateway.signal(signal.SIGTERM)
            answer = text_of(await line.end_of(1))
            assert (await line.closed())[0] == 1001
            return answer, await idle.closed()

    with Gateway(tmp_path, CONFIG) as gateway:
        gateway.wait_for_servers()
        answer, (code, reason) = anyio.run(stay, gateway)
        assert gateway.wait() == 0

    assert (answer, code, reason) == ("waited", 1001, "the gateway is stopping")


async def test_what_comes_after_the_end_is_not_read(home: House) -> None:
    async with bare(home.doors) as line:
        binary = Frame(Opcode.BINARY, b"{}").serialize(mask=True)
        await line.stream.send(binary)
        await line.call(1, "up__echo")

        assert await line.closed() == 1003
    assert home.everything.calls == 0


async def test_frames_that_come_all_at_once_are_answered_one_by_one(home: House) -> None:
    async with door(home, frames_per_s=1e6, burst=1_000_000) as doors, bare(doors) as line:
        await line.stream.send(Frame(Opcode.TEXT, b"{}").serialize(mask=True) * (2 * FULL))
        answers = b""
        with anyio.fail_after(10):
            while answers.count(b"invalid_params") < 2 * FULL:
                answers += await line.stream.receive()
