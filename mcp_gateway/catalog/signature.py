"""A tool's input schema as the signature of a function, for people and for models.

A definition enters, one short line leaves. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def signature(tool: Mapping[str, Any]) -> str:
    """`name(required: string, optional?: integer)`."""
    schema = tool.get("inputSchema")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    required = schema.get("required") if isinstance(schema, dict) else None
    wanted = required if isinstance(required, list) else []
    arguments = [
        f"{name}{'' if name in wanted else '?'}: {type_name(inner)}"
        for name, inner in (properties if isinstance(properties, dict) else {}).items()
    ]
    return f"{tool['name']}({', '.join(arguments)})"


def type_name(schema: Any) -> str:
    """The type a schema describes, in a word or two."""
    if not isinstance(schema, dict):
        return "any"
    kind = schema.get("type")
    if isinstance(kind, list):
        return "|".join(map(str, kind))
    if kind == "array":
        return f"{type_name(schema.get('items'))}[]"
    if isinstance(schema.get("enum"), list):
        return "|".join(str(value) for value in schema["enum"])
    branches = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(branches, list):
        return "|".join(type_name(branch) for branch in branches if branch != {"type": "null"}) or "any"
    return str(kind) if kind else "any"


def first_line(text: Any) -> str:
    return text.strip().splitlines()[0] if isinstance(text, str) and text.strip() else ""
