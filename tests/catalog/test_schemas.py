"""Positions and references in schemas."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.catalog import schemas


def test_every_schema_position_is_visited_with_its_path() -> None:
    schema: dict[str, Any] = {
        "properties": {"a": {"properties": {"b": {}}}, "t": True},
        "items": {"properties": {"c": {}}},
        "anyOf": [{"title": "any"}],
        "$defs": {"D": {"title": "def"}},
        "default": {"properties": {"no": {}}},
    }
    found = [(path, inner.get("title")) for path, inner in schemas.positions(schema)]
    assert found == [
        ((), None),
        (("a",), None),
        (("a", "b"), None),
        (None, None),
        (None, None),
        (None, "any"),
        (None, "def"),
    ]


def test_local_references_are_resolved() -> None:
    root = {"$defs": {"a/b": {"$ref": "#/$defs/C"}, "C": {"title": "c"}}}
    assert schemas.resolve({"$ref": "#/$defs/a~1b"}, root) == {"title": "c"}


@pytest.mark.parametrize("reference", ["https://elsewhere.test/s.json", "#anchor", "#/$defs/Missing"])
def test_other_references_stay(reference: str) -> None:
    assert schemas.resolve({"$ref": reference}, {"$defs": {}}) == {"$ref": reference}


def test_a_circle_of_references_ends() -> None:
    root = {"$defs": {"A": {"$ref": "#/$defs/A"}}}
    assert schemas.resolve({"$ref": "#/$defs/A"}, root) == {"$ref": "#/$defs/A"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, None),
        ({"type": "object"}, None),
        ({"type": ["object", "null"], "properties": {"a": True}, "required": ["a"]}, None),
        ([], "not an object"),
        ({"type": "string"}, "type"),
        ({"type": None}, "type"),
        ({"properties": []}, "properties"),
        ({"properties": {"a": "string"}}, "properties"),
        ({"required": "a"}, "required"),
        ({"required": [1]}, "required"),
    ],
)
def test_faults_of_input_schemas(schema: Any, expected: str | None) -> None:
    found = schemas.fault(schema)
    assert found is None if expected is None else found is not None and expected in found
