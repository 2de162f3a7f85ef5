"""`x-mcp-header` annotations."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.catalog.headers import BadHeader, header_params


def annotated(header: Any, type_: Any = "string") -> dict[str, Any]:
    return {"type": type_, "x-mcp-header": header}


def test_arguments_are_mapped_to_headers_by_path() -> None:
    schema = {
        "properties": {
            "region": annotated("Region"),
            "count": annotated("Count", "integer"),
            "target": {"properties": {"zone": annotated("Zone", "boolean")}},
            "plain": {"type": "string"},
        }
    }
    assert header_params(schema) == {
        ("region",): "Mcp-Param-Region",
        ("count",): "Mcp-Param-Count",
        ("target", "zone"): "Mcp-Param-Zone",
    }


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"properties": {"a": annotated("")}}, "not a header name"),
        ({"properties": {"a": annotated("A B")}}, "not a header name"),
        ({"properties": {"a": annotated("A\r\nX: 1")}}, "not a header name"),
        ({"properties": {"a": annotated("Ä")}}, "not a header name"),
        ({"properties": {"a": annotated(7)}}, "not a header name"),
        ({"properties": {"a": annotated("A", "object")}}, "primitive"),
        ({"properties": {"a": annotated("A", ["string", "null"])}}, "primitive"),
        ({"properties": {"a": {"x-mcp-header": "A"}}}, "primitive"),
        ({"properties": {"a": annotated("A"), "b": annotated("a")}}, "already"),
        (annotated("A", "object"), "certain"),
        ({"properties": {"a": {"items": annotated("A")}}}, "certain"),
        ({"oneOf": [{"properties": {"a": annotated("A")}}]}, "certain"),
        ({"$defs": {"D": annotated("A")}}, "certain"),
        ({"patternProperties": {"^a": annotated("A")}}, "certain"),
    ],
)
def test_a_broken_annotation_is_told(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadHeader, match=reason):
        header_params(schema)


def test_data_that_looks_like_an_annotation_is_none() -> None:
    assert header_params({"properties": {"a": {"type": "object", "default": {"x-mcp-header": "A"}}}}) == {}
