"""Schemas become text as far as it is worth reading."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.retrieval import Document, schema_text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["properties", "items", "anyOf", "title", "description", "x"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


def deep(levels: int) -> dict[str, Any]:
    return {"properties": {f"level{levels}": deep(levels - 1) if levels else {}}}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"properties": {"path": {"type": "string", "description": "Where to"}}}, "path Where to"),
        ({"properties": {"all": {"items": {"properties": {"id": {"title": "Number"}}}}}}, "all id Number"),
        ({"anyOf": [{"description": "one"}, {"properties": {"b": True}}, 3]}, "one b"),
        ({"properties": ["path"], "oneOf": "no", "description": "of the tool itself"}, ""),
        ({"properties": {"n": {"description": 5}}}, "n"),
        (None, ""),
        (True, ""),
    ],
)
def test_names_and_descriptions_of_parameters_are_read(schema: Any, text: str) -> None:
    assert schema_text(schema) == text


def test_a_very_deep_schema_is_read_to_a_depth() -> None:
    assert len(schema_text(deep(50)).split()) == 8


def test_a_very_long_schema_is_cut() -> None:
    text = schema_text({"properties": {f"name{number}": {} for number in range(5000)}})

    assert 7_900 < len(text) <= 8_000


@given(JSON)
def test_any_value_is_read_without_an_error(schema: Any) -> None:
    assert len(schema_text(schema)) <= 8_000


def test_the_passage_names_server_tool_and_what_it_does() -> None:
    assert Document(1, "now", "clock", description="Tells the time").passage == "clock now: Tells the time"
