"""`schema_compat: safe`."""

from __future__ import annotations

import time
from typing import Any

import pytest
from mcp_gateway.catalog.compat import soften

A = {
    "type": "object",
    "title": "ByA",
    "properties": {"a": {"type": "string"}, "n": {"type": "integer"}},
    "required": ["a", "n"],
}
B = {"type": "object", "properties": {"b": {"type": "string"}, "n": {"type": "integer"}}, "required": ["n"]}


def softened(schema: dict[str, Any]) -> dict[str, Any]:
    return soften(schema)[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}},
        {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}},
        {"type": "object", "$defs": {"D": {"allOf": []}}, "if": {}, "then": {}, "not": {}},
        {"type": "object", "properties": {"a": {"type": "object", "default": {"type": "array"}}}},
    ],
)
def test_an_acceptable_schema_is_the_same_object(schema: dict[str, Any]) -> None:
    result, reasons = soften(schema)
    assert result is schema
    assert reasons == ()


def test_one_of_becomes_a_union_that_requires_what_all_need() -> None:
    result, reasons = soften({"oneOf": [A, B], "description": "Find."})
    assert result == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "n": {"type": "integer"}, "b": {"type": "string"}},
        "required": ["n"],
        "description": "Find. Give exactly one of these sets of arguments: ByA (a, n); (n, b?).",
    }
    assert reasons == ("top-level oneOf merged into one object", "type: object added")


def test_all_of_requires_everything() -> None:
    result = softened({"type": "object", "allOf": [A, B]})
    assert result["required"] == ["a", "n"]
    assert "description" not in result


def test_the_schemas_own_properties_stay_and_stay_required() -> None:
    own = {"type": "object", "properties": {"z": {}}, "required": ["z"], "anyOf": [A, B]}
    result = softened(own)
    assert list(result["properties"]) == ["z", "a", "n", "b"]
    assert result["required"] == ["z", "n"]
    assert "at least one" in result["description"]


def test_alternatives_by_required_names_alone_are_told() -> None:
    result = softened(
        {"type": "object", "properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    )
    assert "required" not in result
    assert result["description"].endswith("(a); (b).")


def test_namesakes_of_different_kind_become_a_choice() -> None:
    branches = [{"properties": {"k": {"const": value}}} for value in ("x", "y", "x", "z")]
    assert softened({"oneOf": branches})["properties"]["k"] == {
        "anyOf": [{"const": "x"}, {"const": "y"}, {"const": "z"}]
    }
    both = softened({"allOf": branches[:2]})["properties"]["k"]
    assert both == {"allOf": [{"const": "x"}, {"const": "y"}]}


def test_branches_behind_local_references_are_read() -> None:
    result = softened({"oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}], "$defs": {"A": A, "B": B}})
    assert set(result["properties"]) == {"a", "b", "n"}
    assert result["$defs"] == {"A": A, "B": B}


def test_a_branch_that_cannot_be_read_leaves_nothing_required() -> None:
    for open_branch in ({"$ref": "https://elsewhere.test/x"}, True, 7):
        assert "required" not in softened({"anyOf": [A, open_branch]})


def test_branches_that_no_object_satisfies_are_left_out() -> None:
    assert softened({"anyOf": [A, {"type": "null"}, False]})["required"] == ["a", "n"]


def test_a_closed_schema_opens_for_what_its_branches_add() -> None:
    closed = {"type": "object", "additionalProperties": False, "unevaluatedProperties": False, "oneOf": [A]}
    assert not {"additionalProperties", "unevaluatedProperties"} & softened(closed).keys()
    same = {**closed, "properties": A["properties"]}
    assert softened(same)["additionalProperties"] is False
    typed = {"type": "object", "additionalProperties": {"type": "string"}, "oneOf": [A]}
    assert softened(typed)["additionalProperties"] == {"type": "string"}


def test_nested_combinators_in_branches_are_merged_too() -> None:
    assert set(softened({"anyOf": [{"allOf": [A, B]}]})["properties"]) == {"a", "b", "n"}


def test_something_else_than_a_list_of_branches_is_dropped() -> None:
    assert softened({"type": "object", "anyOf": "?"}) == {"type": "object", "properties": {}}


def test_malformed_branches_do_no_harm() -> None:
    result = softened({"anyOf": [{"properties": 3, "required": 4}, {"required": ["a", 5]}]})
    assert result["properties"] == {}
    assert "required" not in result


def test_a_missing_type_comes_first_and_the_rest_stays() -> None:
    result, reasons = soften({"properties": {"a": {}}})
    assert list(result) == ["type", "properties"]
    assert reasons == ("type: object added",)
    assert softened({"type": ["object", "null"]}) == {"type": "object"}


def test_arrays_without_items_get_some_at_any_depth() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "array"},
            "b": {"anyOf": [{"type": ["array", "null"]}, {"type": "array", "items": {"type": "array"}}]},
            "c": {"type": "array", "items": False},
        },
        "$defs": {"D": {"properties": {"e": {"type": "array", "prefixItems": [{}]}}}},
    }
    before = repr(schema)
    result, reasons = soften(schema)
    assert result["properties"]["a"] == {"type": "array", "items": {}}
    assert result["properties"]["b"]["anyOf"][0] == {"type": ["array", "null"], "items": {}}
    assert result["properties"]["b"]["anyOf"][1]["items"] == {"type": "array", "items": {}}
    assert result["properties"]["c"]["items"] is False
    assert result["$defs"]["D"]["properties"]["e"]["items"] == {}
    assert reasons == ("items: {} added to arrays without items",)
    assert repr(schema) == before


def test_branches_that_multiply_through_references_end_soon() -> None:
    many = [{"$ref": "#/$defs/A"}] * 50
    schema = {"anyOf": many, "$defs": {"A": {"anyOf": many}}}
    started_s = time.process_time()
    soften(schema)
    assert time.process_time() - started_s < 2


def test_an_argument_with_a_header_keeps_its_schema() -> None:
    region = {"type": "string", "x-mcp-header": "Region"}
    schema = {"type": "object", "properties": {"r": region}, "oneOf": [{"properties": {"r": {"const": "eu"}}}]}
    assert softened(schema)["properties"] == {"r": region}
