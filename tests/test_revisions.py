"""The tables of the protocol revisions are consistent with each other."""

from __future__ import annotations

import pytest
from mcp_gateway.revisions import (
    CACHEABLE,
    ENVELOPE_KEYS,
    LATEST_LEGACY,
    LATEST_MODERN,
    LEGACY,
    MODERN,
    NAMED_BY,
    PREFIX,
    at_least,
    is_modern,
)


@pytest.mark.parametrize("revision", MODERN)
def test_a_modern_revision_is_modern(revision: str) -> None:
    assert is_modern(revision)


@pytest.mark.parametrize("revision", [*LEGACY, "2019-01-01", ""])
def test_anything_else_is_not_modern(revision: str) -> None:
    assert not is_modern(revision)


def test_revisions_stand_in_the_order_of_their_dates() -> None:
    assert [*LEGACY, *MODERN] == sorted([*LEGACY, *MODERN])
    assert (max(LEGACY), max(MODERN)) == (LATEST_LEGACY, LATEST_MODERN)


def test_a_revision_is_at_least_itself_and_what_came_before() -> None:
    assert at_least("2025-06-18", "2025-06-18")
    assert at_least("2025-11-25", "2025-06-18")
    assert not at_least("2025-03-26", "2025-06-18")


def test_the_envelope_uses_reserved_keys_only() -> None:
    assert all(key.startswith(PREFIX) for key in ENVELOPE_KEYS)


def test_what_is_named_by_a_param_is_called_or_read() -> None:
    assert NAMED_BY.keys() == {"tools/call", "prompts/get", "resources/read"}
    assert "tools/call" not in CACHEABLE
