"""So much at once, and so much a second on."""

from __future__ import annotations

from mcp_gateway.downstream.bucket import Bucket

from tests.fakes.clock import Clock


def test_a_burst_is_let_through_and_then_what_flows_in() -> None:
    clock = Clock(0)
    bucket = Bucket(10, 3, clock)

    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    clock.advance(0.1)
    assert [bucket.take() for _ in range(2)] == [True, False]


def test_it_holds_no_more_than_its_burst() -> None:
    clock = Clock(0)
    bucket = Bucket(10, 3, clock)
    clock.advance(3600)

    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
