"""The schemas of built-in tools as a listing shows them: what a model or a program needs, and nothing that repeats it.

Pydantic models enter, JSON Schemas leave. Titles that only repeat names, docstrings of ours and defaults of results are
left out; what is accepted and what is promised stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

Schema = dict[str, Any]

_MAPS: Final = ("properties", "$defs")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_ONES: Final = ("items", "additionalProperties", "propertyNames")
_PREFIX: Final = "#/$defs/"
_NULL: Final = {"type": "null"}


def input_schema(model: type[BaseModel]) -> Schema:
    """What may be left out is not said to take null too, although it does: models leave it out then."""
    return _inlined(_each(_without_docstrings(model.model_json_schema()), _argument))


def output_schema(model: type[BaseModel]) -> Schema:
    """What a result looks like."""
    return _inlined(_each(_without_docstrings(model.model_json_schema(mode="serialization")), _member))


def _argument(schema: Schema) -> Schema:
    kept = _without(schema, "title")
    if kept.get("default", "") is not None:
        return kept
    others = [branch for branch in kept.get("anyOf", ()) if branch != _NULL]
    if len(others) != 1:
        return kept
    return {**others[0], **_without(kept, "anyOf", "default")}


def _member(schema: Schema) -> Schema:
    kept = _without(schema, "title", "default", "discriminator")
    if kept.get("additionalProperties") is True:
        del kept["additionalProperties"]
    branches = kept.get("anyOf", ())
    if branches and all(branch.keys() == {"type"} for branch in branches):
        return {"type": [branch["type"] for branch in branches]} | _without(kept, "anyOf")
    return kept


def _without_docstrings(schema: Schema) -> Schema:
    """Those of the models; descriptions of fields are not docstrings."""
    kept = _without(schema, "description")
    if "$defs" in kept:
        kept["$defs"] = {name: _without(inner, "description") for name, inner in kept["$defs"].items()}
    return kept


def _inlined(schema: Schema) -> Schema:
    """A definition that is used once stands where it is used."""
    definitions = schema.get("$defs", {})
    used = list(_references(schema))
    once = {name: inner for name, inner in definitions.items() if used.count(_PREFIX + name) == 1}

    def put(part: Schema) -> Schema:
        found = once.get(part.get("$ref", "").removeprefix(_PREFIX))
        return part if found is None else _each(found, put) | _without(part, "$ref")

    result = _each(schema, put)
    left = {name: inner for name, inner in result.get("$defs", {}).items() if name not in once}
    return _without(result, "$defs") | ({"$defs": left} if left else {})


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if isinstance(reference := schema.get("$ref"), str):
            yield reference
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


def _each(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Change a schema and all schemas in it, from the inside out. A property may be called `title`, too."""
    inner = dict(schema)
    for key in _MAPS:
        if key in inner:
            inner[key] = {name: _each(part, change) for name, part in inner[key].items()}
    for key in _LISTS:
        if key in inner:
            inner[key] = [_each(part, change) for part in inner[key]]
    for key in _ONES:
        if isinstance(inner.get(key), dict):
            inner[key] = _each(inner[key], change)
    return change(inner)


def _without(schema: Schema, *keys: str) -> Schema:
    return {key: value for key, value in schema.items() if key not in keys}
