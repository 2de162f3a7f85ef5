"""The state machine: which state follows, and when the next attempt is due."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.upstream.lifecycle import (
    HEALTHY_AFTER_S,
    ON_USE_INTERVAL_S,
    PARKED_PROBE_S,
    Lifecycle,
    RestartPolicy,
    State,
)

POLICY = RestartPolicy(max_failures=3, first_s=0.5, cap_s=4.0)


def failing(times: int, *, jitter: float = 0.5, policy: RestartPolicy = POLICY) -> Lifecycle:
    life = Lifecycle(policy)
    for number in range(times):
        life.attempt(float(number))
        life.failed(float(number), auth=False, jitter=jitter)
    return life


def test_a_new_upstream_is_idle_and_waits_for_somebody() -> None:
    life = Lifecycle(POLICY)
    assert (life.state, life.next_attempt_s) == (State.IDLE, math.inf)


def test_an_attempt_that_works_is_ready() -> None:
    life = Lifecycle(POLICY)
    life.attempt(1.0)
    assert life.state is State.CONNECTING
    life.connected(2.0)
    assert (life.state, life.ready_since_s) == (State.READY, 2.0)


@pytest.mark.parametrize(("failures", "longest_s"), [(1, 0.5), (2, 1.0), (3, 2.0)])
def test_the_delay_doubles_with_each_failure(failures: int, longest_s: float) -> None:
    life = failing(failures)
    assert life.state is State.BACKOFF
    assert life.next_attempt_s == failures - 1 + 0.5 * longest_s


def test_the_delay_has_a_cap() -> None:
    life = failing(40, policy=RestartPolicy(max_failures=100, first_s=0.5, cap_s=30.0))
    assert life.delay_cap_s() == 30.0


def test_too_many_failures_park_with_one_probe_a_minute() -> None:
    life = failing(4)
    assert life.state is State.PARKED
    assert life.next_attempt_s == 3 + PARKED_PROBE_S


def test_a_parked_upstream_whose_probe_fails_stays_parked() -> None:
    life = failing(4)
    life.attempt(100.0)
    life.failed(101.0, auth=False, jitter=0.0)
    assert (life.state, life.next_attempt_s) == (State.PARKED, 101.0 + PARKED_PROBE_S)


def test_refused_credentials_are_not_tried_again_by_themselves() -> None:
    life = Lifecycle(POLICY)
    life.attempt(0.0)
    life.failed(0.0, auth=True, jitter=0.5)
    assert (life.state, life.next_attempt_s) == (State.NEEDS_AUTH, math.inf)


def test_service_for_a_minute_resets_the_count() -> None:
    life = failing(3)
    life.attempt(10.0)
    life.connected(10.0)
    life.failed(10.0 + HEALTHY_AFTER_S, auth=False, jitter=1.0)
    assert (life.failures, life.state) == (1, State.BACKOFF)


def test_service_for_less_than_a_minute_does_not() -> None:
    life = failing(3)
    life.attempt(10.0)
    life.connected(10.0)
    life.failed(10.0 + HEALTHY_AFTER_S / 2, auth=False, jitter=1.0)
    assert life.state is State.PARKED


@pytest.mark.parametrize("state", [State.READY, State.CONNECTING, State.DISABLED])
def test_use_changes_nothing_where_no_attempt_is_wanted(state: State) -> None:
    life = Lifecycle(POLICY, state=state)
    assert not life.used(1000.0)


def test_use_wakes_an_idle_upstream_at_once() -> None:
    life = Lifecycle(POLICY)
    assert life.used(7.0)
    assert life.next_attempt_s == 7.0


@pytest.mark.parametrize("auth", [False, True])
def test_use_wakes_a_failed_upstream_every_few_seconds_at_most(auth: bool) -> None:
    life = failing(4)
    life.attempt(20.0)
    life.failed(20.0, auth=auth, jitter=0.5)
    assert not life.used(20.0 + ON_USE_INTERVAL_S / 2)
    assert life.used(20.0 + ON_USE_INTERVAL_S)
    assert life.next_attempt_s == 20.0 + ON_USE_INTERVAL_S


def test_rest_waits_for_use_again() -> None:
    life = Lifecycle(POLICY)
    life.attempt(0.0)
    life.connected(0.0)
    life.rest()
    assert (life.state, life.next_attempt_s, life.ready_since_s) == (State.IDLE, math.inf, None)


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_the_delay_is_never_longer_than_the_policy_allows(failures: int, jitter: float) -> None:
    policy = RestartPolicy(max_failures=1000, first_s=0.5, cap_s=30.0)
    life = failing(failures, jitter=jitter, policy=policy)
    delay_s = life.next_attempt_s - (failures - 1)
    assert 0.0 <= delay_s <= min(30.0, 0.5 * 2 ** (failures - 1)) + 1e-6


def test_a_wish_to_be_left_alone_holds_against_use_and_not_against_renewal() -> None:
    life = Lifecycle(POLICY)
    life.attempt(0.0)
    life.failed(0.0, auth=False, jitter=0.0, retry_after_s=40.0)
    assert life.next_attempt_s == 40.0
    assert not life.used(39.0)
    assert life.used(40.0)
    life.renew(10.0)
    assert (life.state, life.next_attempt_s, life.not_before_s) == (State.CONNECTING, 10.0, -math.inf)
