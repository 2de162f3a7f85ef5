"""The keep-alive pool: reuse, bounds, dead connections, and what may be sent twice."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.errors import UpstreamDisconnected, UpstreamUnavailable
from mcp_gateway.upstream.dispatch.address import parse_url
from mcp_gateway.upstream.dispatch.connector import Connector
from mcp_gateway.upstream.dispatch.exchange import Exchange
from mcp_gateway.upstream.dispatch.pool import Pool

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.https import echo, http
from tests.upstream.dispatch.pipes import ask, until


def pool_to(url: str, **options: float) -> Pool:
    address = parse_url("fake", url)
    return Pool("fake", Connector("fake", address, None, None), **options)  # type: ignore[arg-type]  # test shorthand


async def exchange_on(pool: Pool) -> None:
    connection = await pool.acquire()
    exchange = Exchange("fake", 1000)
    connection.start(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", exchange)
    await exchange.done


async def empty(request: Request, wire: Wire) -> None:
    await wire.whole(204, b"")


async def test_at_most_so_many_connections_are_open_and_the_rest_wait() -> None:
    together = 0
    most = 0

    async def script(request: Request, wire: Wire) -> None:
        nonlocal together, most
        together += 1
        most = max(most, together)
        await anyio.lowlevel.checkpoint()
        together -= 1
        await empty(request, wire)

    async with scripted(script) as server:
        pool = pool_to(server.url, max_connections=2)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(exchange_on, pool)
        assert len(server.requests) == 20
        assert server.connections == 2
        assert most <= 2
        await pool.aclose()


async def test_a_waiter_that_gives_up_passes_its_turn_on() -> None:
    hold = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        await hold.wait()
        await empty(request, wire)

    async with scripted(script) as server:
        pool = pool_to(server.url, max_connections=1)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(exchange_on, pool)
                await server.until(lambda: len(server.requests) == 1)
                with anyio.move_on_after(0.01):
                    await exchange_on(pool)
                tasks.start_soon(exchange_on, pool)
                hold.set()
        assert len(server.requests) == 2
        await pool.aclose()


async def test_a_failed_connect_lets_the_next_one_try() -> None:
    async with scripted(empty) as server:
        url = server.url
    pool = pool_to(url, max_connections=1)
    for _ in range(3):
        with pytest.raises(UpstreamUnavailable):
            await pool.acquire()
    await pool.aclose()


async def test_an_idle_connection_is_closed_in_time() -> None:
    async with scripted(empty) as server:
        pool = pool_to(server.url, idle_s=0.02)
        await exchange_on(pool)
        assert pool.open_connections == 1
        await until(lambda: pool.open_connections == 0)
        await pool.aclose()


async def test_the_last_used_connection_is_used_first() -> None:
    both, hold = anyio.Event(), anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if len(server.requests) == 2:
            both.set()
        await (hold.wait() if request.connection == 1 else both.wait())
        await empty(request, wire)

    async with scripted(script) as server:
        pool = pool_to(server.url)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(exchange_on, pool)
                tasks.start_soon(exchange_on, pool)
                await both.wait()
                hold.set()
            await exchange_on(pool)
            await exchange_on(pool)
        assert server.requests[2].connection == server.requests[3].connection
        assert server.connections == 2
        await pool.aclose()


async def test_a_closed_pool_gives_no_connection() -> None:
    pool = pool_to("http://127.0.0.1:9")
    await pool.aclose()
    with pytest.raises(UpstreamDisconnected):
        await pool.acquire()


async def test_closing_ends_those_who_wait() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await anyio.sleep_forever()

    async def fail(pool: Pool) -> None:
        with pytest.raises(UpstreamDisconnected):
            await exchange_on(pool)

    async with scripted(script) as server:
        pool = pool_to(server.url, max_connections=1)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fail, pool)
                tasks.start_soon(fail, pool)
                await server.until(lambda: len(server.requests) == 1)
                await pool.aclose()


async def test_a_connection_closed_while_idle_is_seen_before_anything_is_written() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await echo(request, wire)
        wire.close()

    async with scripted(script) as server, http(server.url) as upstream:
        for _ in range(5):
            await ask(upstream, "tools/call", {})
        assert server.connections == 5
        assert len(server.calls("tools/call")) == 5


async def drop_second(request: Request, wire: Wire) -> None:
    """Read a request on a reused connection and close without a byte."""
    if request.json["id"] == 2 and request.connection == 1:
        wire.close()
    else:
        await echo(request, wire)


async def test_a_read_is_sent_again_when_a_reused_connection_dies_without_an_answer() -> None:
    async with scripted(drop_second) as server, http(server.url) as upstream:
        await ask(upstream, "tools/list", {})
        assert await ask(upstream, "tools/list", {}) == {"echo": {}}
        assert len(server.requests) == 3


async def test_r_retry_1_a_tool_call_is_never_sent_twice() -> None:
    async with scripted(drop_second) as server, http(server.url) as upstream:
        await ask(upstream, "tools/list", {})
        with pytest.raises(UpstreamDisconnected):
            await upstream.call("tools/call", {})
        assert len(server.calls("tools/call")) == 1


async def test_nothing_is_sent_again_once_a_byte_of_an_answer_came() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.json["id"] == 1:
            await echo(request, wire)
        else:
            await wire.send(b"HTTP/1.1 2")
            wire.close()

    async with scripted(script) as server, http(server.url) as upstream:
        await ask(upstream, "tools/list", {})
        with pytest.raises(UpstreamDisconnected):
            await upstream.call("tools/list", {})
        assert len(server.requests) == 2


async def test_many_calls_at_once_each_get_their_own_answer() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        got: dict[int, object] = {}

        async def one(number: int) -> None:
            got[number] = await ask(upstream, "tools/call", {"n": number})

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(one, number)
        assert got == {number: {"echo": {"n": number}} for number in range(100)}
