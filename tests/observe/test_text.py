"""What a stranger wrote is visible, and harmless."""

from __future__ import annotations

import json

import pytest
from mcp_gateway.observe.text import visible, visible_json

HOSTILE = ("\x1b[31m", "\x07", "\x9b2J", "\u202e", "\u2066", "\x00", "\ud800", "\r", "\U000e0041", "\u2028")


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_unprintable_is_left(text: str) -> None:
    shown = visible(f"a{text}b")

    assert shown.isprintable()
    assert shown.startswith("a\\")


def test_what_may_stay_stays() -> None:
    assert visible("a\tb\nc\rd", keep="\t\n") == "a\tb\nc\\rd"


def test_ordinary_text_is_untouched() -> None:
    assert visible("Grüße ☃ 日本 🎉") == "Grüße ☃ 日本 🎉"


@pytest.mark.parametrize("text", [*HOSTILE, "ordinary ☃"])
def test_json_keeps_its_meaning(text: str) -> None:
    document = visible_json(json.dumps({"a": text}, ensure_ascii=False, indent=1))

    assert all(char.isprintable() or char == "\n" for char in document)
    assert json.loads(document) == {"a": text}
