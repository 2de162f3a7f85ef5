"""What a listing shows of a tool's models is short, and still says what is accepted and what comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # the library has no types
from mcp_gateway.builtin import ALL, Builtin, Services
from mcp_gateway.builtin.schema import input_schema, output_schema
from mcp_gateway.config.parts import Tools
from pydantic import BaseModel, Field

BYTES_PER_TOKEN = 4
MOST_TOKENS = 2_900
"""All built-in tools together cost about 4,200 tokens before titles, docstrings and defaults were left out."""


class Part(BaseModel):
    """A docstring of ours."""

    title: str
    description: str = Field(description="What it is.")


class Model(BaseModel):
    """Another one."""

    once: Part
    choice: str | None = Field(default=None, description="One of many.")
    either: int | str | None = None
    many: list[Part] = Field(default_factory=list)
    count: int = 3


class Single(BaseModel):
    only: Part


def test_fields_keep_their_descriptions_and_docstrings_go() -> None:
    part = input_schema(Single)["properties"]["only"]
    assert part["properties"] == {
        "title": {"type": "string"},
        "description": {"type": "string", "description": "What it is."},
    }
    assert "description" not in part


def test_what_is_used_twice_stays_a_definition() -> None:
    schema = input_schema(Model)
    assert schema["properties"]["once"] == {"$ref": "#/$defs/Part"}
    assert list(schema["$defs"]) == ["Part"]
    assert "$defs" not in input_schema(Single)


def test_an_argument_that_may_be_left_out_is_shown_without_null() -> None:
    properties = input_schema(Model)["properties"]
    assert properties["choice"] == {"type": "string", "description": "One of many."}
    assert properties["count"] == {"type": "integer", "default": 3}
    assert {"type": "null"} in properties["either"]["anyOf"]


def test_a_result_says_where_null_may_stand() -> None:
    properties = output_schema(Model)["properties"]
    assert properties["choice"] == {"type": ["string", "null"], "description": "One of many."}
    assert properties["either"] == {"type": ["integer", "string", "null"]}
    assert properties["count"] == {"type": "integer"}


def test_results_fit_the_schema() -> None:
    part = Part(title="t", description="d")
    result = Model(once=part, many=[part]).model_dump(mode="json")
    Draft202012Validator(output_schema(Model)).validate(result)


TOOLS = [make(Tools(), Services()) for make in ALL.values()]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_schemas_of_the_tools_are_schemas(tool: Builtin) -> None:
    for schema in (tool.definition["inputSchema"], tool.definition["outputSchema"]):
        Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        text = json.dumps(schema)
        assert text.count('"$ref"') >= len(schema.get("$defs", ()))


def test_all_tools_together_stay_within_their_share_of_a_context() -> None:
    definitions: list[dict[str, Any]] = [tool.definition for tool in TOOLS]
    assert len(json.dumps(definitions, separators=(",", ":"))) / BYTES_PER_TOKEN < MOST_TOKENS
