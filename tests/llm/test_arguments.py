"""Arguments as models write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp_gateway.llm.arguments import Unfit, parsed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "size": {"type": ["number", "null"]},
        "flag": {"type": "boolean"},
        "colour": {"enum": ["red", "blue"]},
        "odd": True,
        "new": {"type": "decimal"},
    },
    "required": ["text"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"count": 3},
        {"count": 3.0},
        {"size": None},
        {"size": 1},
        {"flag": False},
        {"colour": "red"},
        {"odd": []},
        {"new": 1},
    ],
)
def test_what_fits_passes_unchanged(more: dict[str, Any]) -> None:
    given = {"text": "a", **more}
    assert parsed(json.dumps(given), SCHEMA, was_cut=False) == given


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "'text' is missing"),
        ('{"text": 1}', "'text' must be string"),
        ('{"text": "a", "count": 1.5}', "'count' must be integer"),
        ('{"text": "a", "count": true}', "'count' must be integer"),
        ('{"text": "a", "size": "x"}', "'size' must be number or null"),
        ('{"text": "a", "colour": "green"}', "'colour' must be one of"),
        ('{"text": "a", "cout": 1}', "did you mean 'count'"),
        ('{"text": "a", "zzz": 1}', "there is no argument 'zzz'$"),
        ("[]", "must be a JSON object"),
        ('"x"', "not valid JSON"),
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_what_does_not_fit_is_told(text: str, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        parsed(text, SCHEMA, was_cut=False)


def test_an_object_in_a_string_is_understood() -> None:
    assert parsed('"{\\"text\\": \\"a\\"}"', SCHEMA, was_cut=False) == {"text": "a"}


@pytest.mark.parametrize("text", ["", "{"])
def test_what_was_cut_off_is_not_guessed(text: str) -> None:
    with pytest.raises(Unfit, match="cut off"):
        parsed(text, {}, was_cut=True)


@pytest.mark.parametrize("schema", [{}, {"properties": [], "required": "text"}])
def test_an_odd_schema_refuses_nothing(schema: dict[str, Any]) -> None:
    assert parsed('{"a": 1}', schema, was_cut=False) == {"a": 1}
