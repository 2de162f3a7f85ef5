"""The calls in flight on one shared pipe."""

from __future__ import annotations

from mcp_gateway.errors import UpstreamDisconnected
from mcp_gateway.upstream.dispatch.pending import LISTEN, PendingCalls
from mcp_gateway.wire import Raw

from tests.upstream.dispatch.pipes import Remembering


async def test_a_call_can_be_taken_once() -> None:
    calls = PendingCalls()
    call = calls.add(1, "m", Remembering())
    assert calls.get(1) is call
    assert calls.take(1) is call
    assert calls.take(1) is calls.get(1) is calls.take(None) is calls.get(None) is None


async def test_the_first_outcome_stands() -> None:
    call = PendingCalls().add(1, "m", Remembering())
    call.end(Raw(b"{}"))
    call.end(UpstreamDisconnected("gone"))
    assert await call.outcome == Raw(b"{}")


async def test_a_cancelled_call_takes_no_outcome() -> None:
    call = PendingCalls().add(1, "m", Remembering())
    call.outcome.cancel()
    call.end(Raw(b"{}"))
    assert call.outcome.cancelled()


async def test_the_sole_sink_is_the_newest_of_one_owner() -> None:
    calls = PendingCalls()
    older, newer, other = Remembering("a"), Remembering("a"), Remembering("b")
    assert calls.sole_sink() is None
    for id, sink in enumerate((older, newer)):
        calls.add(id, "m", sink)
    assert calls.sole_sink() is newer
    calls.add(5, "m", other)
    assert calls.sole_sink() is None
    calls.take(5)
    assert calls.sole_sink() is newer
    calls.take(1)
    assert calls.sole_sink() is older
    assert calls.has_owner("a")
    calls.take(0)
    assert not calls.has_owner("a")


async def test_a_listen_takes_no_part_in_attribution() -> None:
    calls = PendingCalls()
    sink = Remembering("a")
    calls.add(1, "m", sink)
    calls.add(2, LISTEN, Remembering("gateway"))
    assert calls.sole_sink() is sink
    calls.take(1)
    assert calls.sole_sink() is None
    assert calls.ids() == (2,)
