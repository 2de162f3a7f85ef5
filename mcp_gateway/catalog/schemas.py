"""JSON Schema 2020-12 as a shape: where schemas sit inside a schema.

A decoded schema enters, its positions leave. Nothing is validated or fetched, and a
`$ref` is followed only when it points inside the same document.
"""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]
Path = tuple[str, ...]

# Keywords whose values are schemas: one, a list of them, or named ones. The old `items` is either of the first two.
# (JSON Schema 2020-12 core, sections 10 and 11; validation, section 8.)
_INNER: Final = frozenset(
    {
        "additionalProperties",
        "allOf",
        "anyOf",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "oneOf",
        "prefixItems",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
_NAMED: Final = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties"})


def positions(schema: Any) -> list[tuple[Path | None, Schema]]:
    """Every schema inside a schema, itself first, with the names leading to it.

    The path is None once anything but `properties` has been crossed: only the
    others are arguments that a caller certainly may give.
    """
    found: list[tuple[Path | None, Schema]] = []
    _visit(schema, (), found)
    return found


def _visit(schema: Any, path: Path | None, found: list[tuple[Path | None, Schema]]) -> None:
    if not isinstance(schema, dict):
        return
    found.append((path, schema))
    for keyword, value in schema.items():
        if keyword == "properties":
            for name, inner in _mapping(value).items():
                _visit(inner, None if path is None else (*path, name), found)
        elif keyword in _INNER:
            for inner in value if isinstance(value, list) else (value,):
                _visit(inner, None, found)
        elif keyword in _NAMED:
            for inner in _mapping(value).values():
                _visit(inner, None, found)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def has_type(schema: Schema, name: str) -> bool:
    """Whether the `type` keyword names the type, alone or in a list."""
    stated = schema.get("type")
    return stated == name or (isinstance(stated, list) and name in stated)


def resolve(schema: Any, root: Schema, *, hops: int = 16) -> Any:
    """The schema behind a `$ref` into this document; anything else comes back as it is.

    A chain longer than `hops`, a circle for instance, ends where it is.
    """
    while hops and isinstance(schema, dict) and isinstance(schema.get("$ref"), str):
        target = _pointed_at(root, schema["$ref"])
        if target is None:
            break
        schema, hops = target, hops - 1
    return schema


def _pointed_at(root: Schema, reference: str) -> Any:
    if not reference.startswith("#/"):
        return None
    found: Any = root
    for step in reference[2:].split("/"):
        found = _mapping(found).get(step.replace("~1", "/").replace("~0", "~"))
    return found


def fault(schema: Any) -> str | None:
    """Why an input schema cannot describe a tool's arguments, or None.

    Model providers refuse the whole request over one such schema, and typed clients
    the whole listing (seen with OpenAI, Anthropic and the TypeScript SDK, 2026-11).
    """
    if not isinstance(schema, dict):
        return "the input schema is not an object"
    if "type" in schema and not has_type(schema, "object"):
        return "the input schema's type is not object"
    properties = schema.get("properties", {})
    if not isinstance(properties, dict) or not all(isinstance(inner, dict | bool) for inner in properties.values()):
        return "the input schema's properties are not schemas"
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return "the input schema's required is not a list of names"
    return None
