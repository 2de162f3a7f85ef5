"""A cap on events per second."""

from __future__ import annotations

from mcp_gateway.upstream.dispatch.rate import RateGate


def test_events_above_the_rate_are_refused_until_the_next_second() -> None:
    now_s = 0.0
    gate = RateGate(2, clock=lambda: now_s)
    assert [gate.allows() for _ in range(4)] == [True, True, False, False]
    now_s = 0.9
    assert not gate.allows()
    now_s = 1.0
    assert [gate.allows() for _ in range(3)] == [True, True, False]
