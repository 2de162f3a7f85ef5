"""Strangers' words, kept apart from ours."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.llm.fence import fenced, new_nonce, result_text, shown
from mcp_gateway.llm.result import redacted

BLOCKS: list[tuple[dict[str, Any], str]] = [
    ({"type": "text", "text": "a"}, "a"),
    ({"type": "image", "data": "x", "mimeType": "image/png"}, "[image]"),
    ({"type": "resource_link", "uri": "x://y"}, "[resource x://y]"),
    ({"type": "resource", "resource": {"text": "inside"}}, "inside"),
    ({"type": "resource", "resource": {"blob": "x"}}, "[a file that is not text]"),
    ({"type": "resource"}, "[a file that is not text]"),
]


@pytest.mark.parametrize(("block", "text"), BLOCKS)
def test_blocks_become_text(block: dict[str, Any], text: str) -> None:
    assert result_text({"content": [block]}) == text


def test_structured_content_speaks_where_there_is_no_text() -> None:
    assert result_text({"content": [], "structuredContent": {"a": 1}}) == '{"a": 1}'
    assert result_text({"content": "x"}) == ""


def test_what_cannot_be_seen_does_not_pass() -> None:
    assert "\u200b" not in fenced("a\u200b\x1b[31mb", "call_1", new_nonce(), 100)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("![x](http://e/?q=1)", "[image: x]"),
        ("![](http://e/", "[image]"),
        ("![x][ref]", "[image: x]"),
        ("a <IMG src=x onerror=y> b", "a  b"),
        ("[here](http://e/1)", "here (http://e/1)"),
        ("[http://e/](http://e/)", "http://e/"),
        ("a[0] and [call_1]", "a[0] and [call_1]"),
        ('<a href="http://e/1">here</a>', "<a>here</a>"),
        ('<div style="background:url(http://e/1)">x</div>', "<div>x</div>"),
        ("<p/onclick=x>y", "<p>y"),
        ('<style>@import "http://e/1"</style>', '@import "http://e/1"'),
        ("<input type=image src=http://e/1>", ""),
        ("<a href=http://e/1", "<a>"),
        ("[here][1]\n\n[1]: http://e/1", "[here][1]\n\n1: http://e/1"),
        ("> [1]: http://e/1", "> 1: http://e/1"),
        ("[a [b]](http://e/1)", "[a [b]] (http://e/1)"),
        ("![a [b]](http://e/1)", "[image: a [b]] (http://e/1)"),
        ("[x](<http://e/a b>)", "[x] (<http://e/a b>)"),
        ("a List<int>, x < y and <https://e/>", "a List<int>, x < y and <https://e/>"),
    ],
)
def test_an_answer_fetches_nothing_and_hides_no_address(said: str, seen: str) -> None:
    assert shown(said) == seen


def test_secrets_and_long_values_stay_out_of_reports() -> None:
    given = {"api_key": "x", "deep": {"Password": "y", "list": [{"token": "z"}]}, "text": "t" * 300, "n": 1}
    told = redacted(given)
    assert (told["api_key"], told["deep"]["Password"], told["n"]) == ("[redacted]", "[redacted]", 1)
    assert told["deep"]["list"] == [{"token": "[redacted]"}]
    assert len(told["text"]) == 201
