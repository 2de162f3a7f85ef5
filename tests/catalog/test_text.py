"""Cleaning texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcp_gateway.catalog import text
from mcp_gateway.wire import encode


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("plain\ttext\r\n", "plain\ttext\r\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1mbold", "bold"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;https://a.b\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x00b\x07c\x7fd\x85e", "abcde"),
        ("a\u202eb\u2066c", "abc"),
        ("a\U000e0041\U000e007fb", "ab"),
        ("zero\u200bwidth\u2060\ufeff", "zerowidth"),
        ("bytes\U000e0100", "bytes"),
        ("private\ue000\U000f0000", "private"),
        ("a\u200db\u200c", "ab"),
        ("x\u200d\u200c\u200dy", "xy"),
    ],
)
def test_what_nobody_can_see_is_stripped(dirty: str, expected: str) -> None:
    assert text.clean(dirty) == expected


@pytest.mark.parametrize("visible", ["👩\u200d👩\u200d👧", "می\u200cخواهم", "❤\ufe0f", "日本語", "Ünïcödé", "\u0600"])
def test_joiners_inside_words_and_emoji_stay(visible: str) -> None:
    assert text.clean(visible) == visible


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_what_may_hide_something_is_never_called_clean(given_text: str) -> None:
    if text.clean(given_text) != given_text:
        assert text.may_hide(encode(given_text))


def test_a_delete_character_needs_no_escape_and_is_still_noticed() -> None:
    assert text.may_hide(b'"a\x7f"')
    assert not text.may_hide(b'"a"')


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")), st.integers(3, 50))
def test_truncated_text_fits(given_text: str, max_bytes: int) -> None:
    cut = text.truncate(given_text, max_bytes)
    assert len(cut.encode()) <= max_bytes
    assert cut == given_text or cut.endswith(text.ELLIPSIS)


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\u200db", "a\x00", "\u202ea", "\U000e0041"])
def test_names_may_hold_nothing_invisible(name: str) -> None:
    assert text.has_unprintable(name)
    assert not text.has_unprintable(text.printable(name))


def test_a_long_name_is_cut_for_messages() -> None:
    assert text.printable("x" * 500) == "x" * 80


def test_prose_inside_a_schema_is_cleaned_and_data_is_only_flagged() -> None:
    dirty = {
        "title": "T\u200b",
        "items": [{"description": "D\u202e"}],
        "n": 1,
        "default": {"description": "kept\u200b"},
        "enum": ["e\u200b"],
    }
    cleaned, stays = text.scrub(dirty)
    assert cleaned == {
        "title": "T",
        "items": [{"description": "D"}],
        "n": 1,
        "default": {"description": "kept\u200b"},
        "enum": ["e\u200b"],
    }
    assert stays


def test_hidden_characters_in_keys_are_flagged() -> None:
    assert text.scrub({"a\u200b": 1}) == ({"a\u200b": 1}, True)


def test_clean_data_is_not_flagged() -> None:
    assert text.scrub({"enum": ["a"], "b": None}) == ({"enum": ["a"], "b": None}, False)
