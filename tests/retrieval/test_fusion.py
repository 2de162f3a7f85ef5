"""The hits of several queries become one list."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.retrieval.fusion import fused

RANKED = st.lists(st.integers(0, 20), unique=True, max_size=8).map(
    lambda found: [(one, 1 / (one + 1)) for one in found]
)


def test_the_first_of_each_query_come_before_the_second_of_any() -> None:
    assert fused([[(1, 0.9), (2, 0.8)], [(3, 0.5), (4, 0.4)]], 10) == [(1, 0.9), (3, 0.5), (2, 0.8), (4, 0.4)]


def test_what_two_queries_find_rises_and_keeps_its_best_score() -> None:
    assert fused([[(1, 0.9), (2, 0.3)], [(3, 0.5), (2, 0.4)], [(2, 0.2)]], 2) == [(2, 0.4), (1, 0.9)]


def test_equals_stay_as_they_were_met() -> None:
    assert fused([[(7, 0.5)], [(3, 0.5)]], 2) == [(7, 0.5), (3, 0.5)]


@given(st.lists(RANKED, max_size=4), st.integers(0, 10))
def test_nothing_is_doubled_or_made_up(lists: list[list[tuple[int, float]]], limit: int) -> None:
    merged = [position for position, _ in fused(lists, limit)]
    known = {position for found in lists for position, _ in found}

    assert len(merged) == len(set(merged)) == min(limit, len(known))
    assert set(merged) <= known


@given(RANKED)
def test_one_list_stays_as_it_is(found: list[tuple[int, float]]) -> None:
    assert fused([found], len(found)) == found
