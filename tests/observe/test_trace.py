"""Trace contexts, by the letter of W3C Trace Context."""

from __future__ import annotations

import re

import anyio
import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.observe.trace import CURRENT, Trace, apart, at_work

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{ID}-{PARENT}-01"


def test_a_trace_of_ones_own_is_a_valid_one() -> None:
    trace = Trace.begin()
    again = Trace.of(trace.onward)

    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace.onward)
    assert again is not None
    assert again.id == trace.id != Trace.begin().id


@pytest.mark.parametrize("given", [GIVEN, f"00-{ID}-{PARENT}-00", f"01-{ID}-{PARENT}-01-what-comes-later"])
def test_a_callers_trace_goes_on_as_it_came(given: str) -> None:
    trace = Trace.of(given)

    assert trace is not None
    assert (trace.id, trace.onward) == (ID, given)
    assert trace.span != PARENT


@pytest.mark.parametrize(
    "given",
    [
        None,
        17,
        "",
        GIVEN.upper(),
        f"{GIVEN} ",
        f"{GIVEN}-more",
        f"ff-{ID}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{ID}-{'0' * 16}-01",
        f"01-{ID}-{PARENT}-01-a\r\nx: y",
        f"00-{ID[1:]}-{PARENT}-01",
    ],
)
def test_what_is_no_trace_context_is_not_taken(given: object) -> None:
    assert Trace.of(given) is None
    assert Trace.at_door(given).id != ID


def test_the_door_takes_the_first_valid_one() -> None:
    assert Trace.at_door(None, "bad", GIVEN).id == ID


def test_a_call_that_another_makes_shares_its_trace_and_has_a_span_of_its_own() -> None:
    outer = Trace.at_door(GIVEN)
    with at_work(outer):
        inner = Call("tools/call", {}, Client("key")).trace
        with apart():
            stranger = Call("tools/call", {}, Client("key")).trace

    assert (inner.id, inner.onward) == (ID, GIVEN)
    assert inner.span != outer.span
    assert stranger.id != ID
    assert CURRENT.get() is None


async def test_calls_side_by_side_do_not_see_each_others_trace() -> None:
    both, seen = anyio.Event(), []

    async def work(trace: Trace) -> None:
        with at_work(trace):
            seen.append(trace)
            if len(seen) == 2:
                both.set()
            await both.wait()
            assert CURRENT.get() is trace

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(work, Trace.begin())
            group.start_soon(work, Trace.begin())


def test_a_recorded_call_is_the_parent_of_what_it_makes_and_of_what_the_upstream_does() -> None:
    outer = Trace.at_door(GIVEN).recorded()
    with at_work(outer):
        inner = Call("tools/call", {}, Client("key")).trace

    assert (outer.parent, outer.onward) == (PARENT, f"00-{ID}-{outer.span}-01")
    assert (inner.id, inner.parent) == (ID, outer.span)
    assert Trace.begin().parent is None


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_whoever_began_a_trace_says_whether_it_is_recorded(flags: str, sampled: bool) -> None:
    assert Trace.at_door(GIVEN[:-2] + flags).is_sampled is sampled
