"""Words and meaning are mixed; whatever vectors are missing, words remain."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.retrieval import Document, Index, Vector, unit
from mcp_gateway.retrieval.hybrid import HALF_WORDS, MOST_SHARE, meaning_share, mixed, similarities

WEATHER = Document("weather", "forecast", description="Rain and temperature")
MAIL = Document("mail", "send", description="A letter to somebody")
INDEX = Index.build([WEATHER, MAIL])

MEANING = {
    WEATHER.passage: [1.0, 0.0],
    MAIL.passage: [0.0, 1.0],
    "do I take an umbrella": unit([3.0, 0.1]),
    "temperature": [0.0, 1.0],
}


def found(query: str, vectors: dict[str, list[float]] | None) -> list[str]:
    hits = INDEX.search(query, 1, vectors=None if vectors is None else vectors.get)
    return [hit.document.subject for hit in hits]


def test_meaning_finds_what_shares_no_word() -> None:
    assert found("do I take an umbrella", None) == []
    assert found("do I take an umbrella", MEANING) == ["weather"]


def test_a_query_without_a_vector_is_answered_by_words() -> None:
    known = {text: vector for text, vector in MEANING.items() if text != "temperature"}

    assert INDEX.search("temperature", 5, vectors=known.get) == INDEX.search("temperature", 5)


def test_permission_holds_for_meaning_too() -> None:
    hits = INDEX.search("rain", 5, lambda document: document is MAIL, {**MEANING, "rain": unit([1.0, 1.0])}.get)

    assert WEATHER not in [hit.document for hit in hits]


def test_a_service_that_has_nothing_changes_nothing() -> None:
    def nothing(text: str) -> Vector | None:
        return None

    assert INDEX.search("rain", 5, vectors=nothing) == INDEX.search("rain", 5)


def test_meaning_and_words_share_the_score() -> None:
    share = meaning_share(20)

    assert mixed({0: 4.0}, [0.0, 1.0], 20) == pytest.approx({0: 1 - share, 1: share})


@pytest.mark.parametrize(("words", "share"), [(0, MOST_SHARE), (1, MOST_SHARE), (HALF_WORDS, 0.5), (39, 0.25)])
def test_meaning_counts_for_at_most_its_bound_and_for_half_at_so_many_words(words: int, share: float) -> None:
    assert meaning_share(words) == pytest.approx(share)


@given(st.integers(0, 300))
def test_one_more_word_never_makes_meaning_count_more_nor_turns_the_ranking_over(words: int) -> None:
    assert 0 <= meaning_share(words) - meaning_share(words + 1) < 0.035


def test_a_name_typed_as_it_is_keeps_its_tool_before_one_that_only_means_the_same() -> None:
    scores = mixed({0: 1.0}, [0.6, 1.0, 0.0], 1)

    assert max(scores, key=scores.__getitem__) == 0


def test_a_document_without_a_vector_keeps_its_score_by_words() -> None:
    assert mixed({0: 2.0, 1: 1.0}, [0.1, None, 0.9], 1)[1] == pytest.approx(0.5)


@pytest.mark.parametrize("meaning", [[None, None], [0.4, 0.4], [0.4, None]])
def test_meaning_that_tells_nothing_apart_leaves_words(meaning: list[float | None]) -> None:
    assert mixed({1: 0.5}, meaning, 3) == {0: 0.0, 1: 1.0}


def test_cosines_are_those_of_unit_vectors() -> None:
    given = {"q": [5.0, 0.0], "a": [0.1, 0.0], "b": [0.0, 9.0], "zero": [0.0, 0.0]}
    vectors = {text: unit(vector) for text, vector in given.items()}

    assert similarities("q", ["a", "b", "zero", "unknown"], vectors.get) == [1.0, 0.0, 0.0, None]


def test_there_are_no_cosines_without_the_query() -> None:
    assert similarities("unknown", ["a"], {"a": [1.0]}.get) is None


@given(
    st.dictionaries(st.integers(0, 4), st.floats(0, 1)),
    st.lists(st.none() | st.floats(-1, 1), min_size=5, max_size=5),
    st.integers(0, 40),
)
def test_mixed_scores_lie_between_nothing_and_one(
    scores: dict[int, float], meaning: list[float | None], words: int
) -> None:
    result = mixed(scores, meaning, words)

    assert list(result) == [0, 1, 2, 3, 4]
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in result.values())
