"""A key is kept as a hash, and found by nothing but the key."""

from __future__ import annotations

import time

import pytest
from mcp_gateway.security.keys import PREFIX, WEAK, ApiKey, KeyTable, hashed, new_key
from mcp_gateway.security.principal import Allowance, Grant, Principal


def test_a_key_is_long_random_and_tells_whose_it_is() -> None:
    keys = {new_key() for _ in range(100)}

    assert len(keys) == 100
    assert all(key.startswith(PREFIX) and len(key) >= 43 for key in keys)


def test_a_key_is_found_by_itself_only() -> None:
    key = new_key()
    table = KeyTable([ApiKey("ci", hashed(key))])

    found = table.find(key)
    assert found is not None
    assert found.name == "ci"
    for guess in ("", key[:-1], key + "x", key.upper(), hashed(key), "\ud800"):
        assert table.find(guess) is None


def test_a_key_ends_when_its_time_is_over() -> None:
    key, now = new_key(), time.time()
    assert KeyTable([ApiKey("a", hashed(key), expires_unix_s=now - 1)]).find(key) is None
    assert KeyTable([ApiKey("a", hashed(key), expires_unix_s=now + 60)]).find(key) is not None


def test_a_key_stands_for_a_principal_with_its_name_and_its_reach() -> None:
    grant, allowance = Grant(servers=("time",)), Allowance(rate_per_s=5, concurrency=2)
    key = ApiKey("ci", hashed("x"), frozenset({"read"}), grant, allowance)

    assert key.principal == Principal("key:ci", frozenset({"read"}), grant, allowance)


@pytest.mark.parametrize("word", WEAK)
def test_default_words_are_known(word: str) -> None:
    assert ApiKey("a", hashed(word)).weak
    assert not ApiKey("a", hashed(new_key())).weak
