"""What was seen is remembered for its time, within bounds, and apart for each key."""

from __future__ import annotations

import pytest
from mcp_gateway.errors import RateLimited
from mcp_gateway.security.nonces import Nonces

from tests.fakes.clock import Clock


def test_a_nonce_is_new_once_until_it_ends() -> None:
    clock = Clock()
    nonces = Nonces(600, monotonic=clock)

    assert nonces.admit("ci", "a nonce")
    clock.advance(599)
    assert not nonces.admit("ci", "a nonce")
    clock.advance(1)
    assert nonces.admit("ci", "a nonce")


def test_each_key_has_its_own() -> None:
    nonces = Nonces(600)

    assert nonces.admit("ci", "a nonce")
    assert nonces.admit("other", "a nonce")


def test_r_cap_1_a_full_store_forgets_nothing_and_says_how_long_to_wait() -> None:
    clock = Clock()
    nonces = Nonces(600, per_key=2, monotonic=clock)
    nonces.admit("ci", "first")
    clock.advance(10)
    nonces.admit("ci", "second")

    with pytest.raises(RateLimited) as limited:
        nonces.admit("ci", "third")

    assert limited.value.retry_after_s == 590
    assert not nonces.admit("ci", "first")
    assert nonces.admit("other", "third")
    clock.advance(590)
    assert nonces.admit("ci", "third")


def test_keys_that_are_no_longer_used_take_no_room() -> None:
    clock = Clock()
    nonces = Nonces(600, monotonic=clock)
    for number in range(50):
        nonces.admit("ci", str(number))

    clock.advance(601)
    nonces.admit("other", "a nonce")

    assert len(nonces) == 1
