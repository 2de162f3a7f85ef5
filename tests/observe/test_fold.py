"""What is recorded of refused calls."""

from __future__ import annotations

from typing import Any

from mcp_gateway.events import CallEnded
from mcp_gateway.observe.fold import AT_ONCE, KINDS, Fold

from tests.observe.calls import ended


def refused(at: float = 100.0, **changes: Any) -> CallEnded:
    return ended(at=at, outcome="unknown_name", refused=True, **changes)


def count(fold: Fold, call: CallEnded) -> int | None:
    recorded = fold.add(call)
    return None if recorded is None else recorded.count


def exhausted() -> Fold:
    """No call of the local person may be recorded for a second from 100.0 on."""
    fold = Fold()
    assert [count(fold, refused()) for _ in range(int(AT_ONCE))] == [1] * int(AT_ONCE)
    return fold


def test_after_the_first_few_one_a_second_is_recorded_and_counts_the_others() -> None:
    fold = exhausted()
    assert [count(fold, refused(at)) for at in (100.0, 100.25, 100.75, 101.0, 101.5, 102.0)] == [
        None,
        None,
        None,
        4,
        None,
        2,
    ]


def test_callers_and_codes_are_folded_apart() -> None:
    fold = exhausted()
    assert count(fold, refused(principal="key:b")) == 1
    assert count(fold, ended(at=100.0, outcome="forbidden", refused=True)) == 1


def test_a_clock_that_was_set_back_holds_nothing_back_for_longer() -> None:
    fold = exhausted()
    assert [count(fold, refused(at)) for at in (40.0, 41.0)] == [None, 2]


def test_what_is_remembered_is_bounded() -> None:
    fold = exhausted()
    for number in range(KINDS - 1):
        fold.add(refused(principal=str(number)))
    assert count(fold, refused()) is None
    for number in range(KINDS):
        fold.add(refused(principal=str(number)))
    assert count(fold, refused()) == 1
