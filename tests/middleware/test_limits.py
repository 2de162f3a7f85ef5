"""Each caller's rate and its calls at once; nobody pays for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.errors import ERROR_META_KEY, RateLimited
from mcp_gateway.middleware.limits import CALLERS, CallLimits, LimitsMiddleware, ServerRates
from mcp_gateway.security.principal import Allowance, Principal
from mcp_gateway.wire import Raw

from tests.interaction.house import Door, house

DONE = Raw(b"{}")


def call(id: str = "key:a", **allowance: float) -> Call:
    principal = Principal(id, allowance=Allowance(**allowance))  # type: ignore[arg-type]  # a test's own numbers
    return Call("tools/call", {}, Client(id, principal=principal))


async def done(call: Call) -> Raw:
    return DONE


async def tries(limits: LimitsMiddleware, make: Callable[[], Call], count: int) -> list[bool]:
    """Which of `count` calls, one right after the other, were let through."""
    passed = []
    for _ in range(count):
        try:
            passed.append(await limits(make(), done) is DONE)
        except RateLimited:
            passed.append(False)
    return passed


async def test_without_a_limit_everything_passes() -> None:
    assert all(await tries(LimitsMiddleware(CallLimits()), call, 1000))


async def test_a_burst_passes_and_the_rest_is_told_when_to_come_back() -> None:
    limits = LimitsMiddleware(CallLimits(rate_per_s=0.1, burst=3))
    assert await tries(limits, call, 4) == [True, True, True, False]
    with pytest.raises(RateLimited) as refused:
        await limits(call(), done)
    assert refused.value.retry_after_s == pytest.approx(10, abs=0.5)


async def test_time_fills_the_bucket_again() -> None:
    limits = LimitsMiddleware(CallLimits(rate_per_s=50, burst=1))
    assert await tries(limits, call, 2) == [True, False]
    with pytest.raises(RateLimited) as refused:
        await limits(call(), done)
    assert refused.value.retry_after_s is not None
    await anyio.sleep(refused.value.retry_after_s)  # as a caller does that was told so
    assert await limits(call(), done) is DONE


async def test_a_key_has_an_allowance_of_its_own_and_others_do_not_pay_for_it() -> None:
    limits = LimitsMiddleware(CallLimits(rate_per_s=1000))
    assert await tries(limits, lambda: call("key:slow", rate_per_s=0.01), 2) == [True, False]
    assert await limits(call("key:other"), done) is DONE


async def test_calls_under_way_count_until_they_end() -> None:
    limits, release = LimitsMiddleware(CallLimits()), anyio.Event()
    started = anyio.Event()

    async def waits(call: Call) -> Raw:
        started.set()
        await release.wait()
        return DONE

    async with anyio.create_task_group() as group:
        group.start_soon(limits, call(concurrency=1), waits)
        await started.wait()
        with pytest.raises(RateLimited, match="under way"):
            await limits(call(concurrency=1), done)
        assert await limits(call("key:b", concurrency=1), done) is DONE
        release.set()
    assert await limits(call(concurrency=1), done) is DONE


async def test_a_call_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    limits = LimitsMiddleware(CallLimits())

    async def fails(call: Call) -> Raw:
        raise ValueError

    async def never(call: Call) -> Raw:
        await anyio.sleep_forever()
        return DONE

    with pytest.raises(ValueError):  # noqa: PT011 - our own
        await limits(call(concurrency=1), fails)
    with anyio.move_on_after(0.01):
        await limits(call(concurrency=1), never)
    assert await limits(call(concurrency=1), done) is DONE


async def test_what_is_remembered_of_callers_is_bounded() -> None:
    limits = LimitsMiddleware(CallLimits(rate_per_s=0.001, burst=1))
    for number in range(CALLERS + 10):
        await limits(call(f"key:{number}"), done)

    assert await limits(call("key:0"), done) is DONE  # forgotten, so its bucket is full
    with pytest.raises(RateLimited):
        await limits(call(f"key:{CALLERS}"), done)


def to(server: str | None, tool: str, id: str = "key:a", kind: Kind = Kind.TOOL) -> Call:
    made = call(id)
    made.route = Route(kind, server, f"{server}__{tool}", tool)
    return made


async def test_a_server_takes_so_much_of_all_callers_together() -> None:
    limits = LimitsMiddleware(CallLimits(servers={"up": ServerRates(rate_per_s=2)}))
    callers = iter("abc")

    assert await tries(limits, lambda: to("up", "echo", next(callers)), 3) == [True, True, False]
    assert await limits(to("other", "echo"), done) is DONE
    assert await limits(to(None, "echo"), done) is DONE
    with pytest.raises(RateLimited, match="of server 'up'"):
        await limits(to("up", "a prompt", kind=Kind.PROMPT), done)


async def test_every_tool_counts_by_itself_and_the_first_glob_decides() -> None:
    limits = LimitsMiddleware(CallLimits(servers={"up": ServerRates(tools={"find_*": 1, "*": 3})}))

    assert await tries(limits, lambda: to("up", "find_a"), 2) == [True, False]
    assert await tries(limits, lambda: to("up", "find_b"), 2) == [True, False]
    assert await tries(limits, lambda: to("up", "else"), 4) == [True, True, True, False]
    assert await limits(to("up", "else", kind=Kind.PROMPT), done) is DONE
    with pytest.raises(RateLimited, match="of tool 'up__find_a'"):
        await limits(to("up", "find_a"), done)


async def test_a_call_that_is_refused_uses_nothing_up() -> None:
    limits = LimitsMiddleware(CallLimits(servers={"up": ServerRates(rate_per_s=2, tools={"narrow": 1})}))

    assert await tries(limits, lambda: to("up", "narrow"), 5) == [True, *[False] * 4]
    assert await limits(to("up", "wide"), done) is DONE


async def test_the_file_sets_the_rates_of_a_server_and_its_tools(tmp_path: Path) -> None:
    entry = {"rate": "1000/s", "tools": {"rate": {"echo": "1/h"}}}
    async with house(tmp_path, entry=entry) as home, home.client(Door.HTTP_LEGACY) as client:
        results = [await client.call_tool("up__echo", {"text": "x"}) for _ in range(2)]

    assert [result.is_error for result in results] == [False, True]
    assert (results[1].meta or {})[ERROR_META_KEY]["code"] == "rate_limited"


async def test_calls_within_an_ask_take_from_the_rate_and_not_from_the_calls_at_once() -> None:
    limits = LimitsMiddleware(CallLimits(burst=2))
    inner: list[bool] = []

    def within() -> Call:
        outer = call(concurrency=1, rate_per_s=0.01)
        return Call("tools/call", {}, replace(outer.client, door="ask"))

    async def asks(call: Call) -> Raw:
        inner.extend(await tries(limits, within, 2))
        return DONE

    assert await limits(call(concurrency=1, rate_per_s=0.01), asks) is DONE
    assert inner == [True, False]
