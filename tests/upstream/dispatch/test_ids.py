"""Ids inside messages of a pipe."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.upstream.dispatch.ids import our_id, read_id, subscription_of
from mcp_gateway.wire import Raw

KEY = "io.modelcontextprotocol/subscriptionId"


@pytest.mark.parametrize(("id", "ours"), [(7, 7), ("7", 7), ("x7", None), ("", None), ("²", None), (None, None)])
def test_an_id_of_ours_is_an_integer_or_spells_one(id: int | str | None, ours: int | None) -> None:
    assert our_id(id) == ours


def test_a_very_long_number_is_not_even_converted() -> None:
    assert our_id("7" * 100_000) is None


@pytest.mark.parametrize(
    ("raw", "id"), [(Raw(b"7"), 7), (Raw(b'"a"'), "a"), (Raw(b"[1]"), None), (Raw(b"true"), None), (None, None)]
)
def test_a_raw_id_is_read(raw: Any, id: int | str | None) -> None:
    assert read_id(raw) == id


@pytest.mark.parametrize(
    ("meta", "id"),
    [
        (Raw(b'{"%b":3}' % KEY.encode()), 3),
        (Raw(b'{"%b":"3"}' % KEY.encode()), 3),
        (Raw(b"{}"), None),
        (Raw(b"[]"), None),
        (None, None),
    ],
)
def test_a_notification_says_which_listen_it_is_part_of(meta: Any, id: int | None) -> None:
    assert subscription_of({"_meta": meta}) == id
