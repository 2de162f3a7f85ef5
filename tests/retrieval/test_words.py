"""Texts become the words that search compares, whichever way they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.retrieval.words import STOP, stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("getHTTPStatus_of web-page2", ["get", "http", "status", "of", "web", "page", "2"]),
        ("get.current_time", ["get", "current", "time"]),
        ("GitHub", ["git", "hub", "github"]),
        ("listPullRequests", ["list", "pull", "request"]),
        ("s3 mp3 3d", ["s3", "mp3", "3d"]),
        ("Café", ["cafe"]),
        ("必应搜索", ["必应", "应搜", "搜索"]),
        ("中文", ["中文"]),
        ("Größe", ["grosse"]),
        ("résumé用", ["resume", "用"]),
        ("?! _", []),
    ],
)
def test_text_is_split_into_words(text: str, expected: list[str]) -> None:
    assert words(text) == [stem(word) for word in expected]


@pytest.mark.parametrize(
    "group",
    [
        "commit commits committed committing",
        "create creates created creating",
        "rate rates rating rated",
        "run runs running",
        "query queries",
        "tried tries try",
        "search searches searching searched",
        "address addresses",
        "box boxes",
        "file files filing filed",
    ],
)
def test_forms_of_a_word_have_one_stem(group: str) -> None:
    assert len({stem(word) for word in group.split()}) == 1


@pytest.mark.parametrize(
    "pair", ["news new", "string str", "status statu", "settings set", "need ne", "bring br", "us u"]
)
def test_other_words_are_left_apart(pair: str) -> None:
    one, other = pair.split()

    assert stem(one) != stem(other)


@pytest.mark.parametrize("word", ["aws", "naïves", "h264s", "analysis", "setting", "kubernetes"])
def test_short_foreign_and_special_words_keep_their_form(word: str) -> None:
    assert stem(word) == word


def test_the_plural_of_a_special_word_is_known() -> None:
    assert stem("settings") == "setting"


def test_stop_words_are_known_by_their_stems() -> None:
    assert {"thes", "wher", "use", "pleas"} <= STOP


@given(st.text())
def test_any_text_has_words_that_are_not_empty(text: str) -> None:
    assert all(words(text))


@given(st.lists(st.sampled_from(["search", "file", "current", "time"]), min_size=1, max_size=4))
def test_snake_case_and_spaces_are_the_same(parts: list[str]) -> None:
    assert words("_".join(parts)) == words(" ".join(parts)) == words(".".join(parts))
