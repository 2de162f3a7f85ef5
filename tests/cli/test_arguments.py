"""Words on the command line become what a tool's schema wants."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.cli.arguments import from_words

from tests.fakes.tool_box import KINDS


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=12", "12"),
        ("text=true", "true"),
        ("text=", ""),
        ("text=a=b", "a=b"),
        ("text=[1]", "[1]"),
        ("number=1.5", 1.5),
        ("number=-3", -3),
        ("number=many", "many"),
        ("number=NaN", "NaN"),
        ("count=7", 7),
        ("flag=true", True),
        ("flag=yes", "yes"),
        ('tags=["a","b"]', ["a", "b"]),
        ("tags=1", ["1"]),
        ("counts=1", [1]),
        ('thing={"a":[1,null]}', {"a": [1, None]}),
        ("thing={", "{"),
        ("colour=red", "red"),
        ("colour=3", 3),
        ("perhaps=null", None),
        ("perhaps=5", "5"),
        ("either=[1]", [1]),
        ("either=1", "1"),
        ("both=4", 4),
        ("listed=null", None),
        ("listed=2", 2),
        ("loop=2", 2),
        ("unknown=2", 2),
        ("unknown=two", "two"),
        ("text=ä ☃", "ä ☃"),
    ],
)
def test_a_word_becomes_what_the_schema_wants(word: str, value: Any) -> None:
    assert from_words([word], KINDS) == {word.partition("=")[0]: value}


@pytest.mark.parametrize(
    "schema", [{}, {"properties": []}, {"properties": {"n": True}}, {"properties": {"n": {"$ref": "x"}}}]
)
def test_a_schema_that_says_nothing_leaves_it_to_json(schema: dict[str, Any]) -> None:
    assert from_words(["n=1", "m=one"], schema) == {"n": 1, "m": "one"}


def test_a_listed_value_is_taken_as_it_is_listed() -> None:
    schema = {"properties": {"level": {"enum": ["1", 2, True]}, "mode": {"const": "7"}}}

    assert from_words(["level=1", "mode=7"], schema) == {"level": "1", "mode": "7"}
    assert from_words(["level=2"], schema) == {"level": 2}
    assert from_words(["level=true"], schema) == {"level": True}


def test_a_reference_into_a_definition_is_followed() -> None:
    schema = {"$defs": {"a/b": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/a~1b"}}}

    assert from_words(["n=1"], schema) == {"n": 1}
