"""The arguments of a call as a model wrote them. Pure: text enters, an object leaves, or the reason why not.

The check is shallow on purpose: names and types at the top, enough to let a model mend its call without a round trip.
Patterns and references of strangers' schemas are not run here; the server has the last word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}


class Unfit(ValueError):
    """The arguments cannot be used; the text tells a model how to mend them."""


def parsed(text: str, schema: Mapping[str, Any], *, was_cut: bool) -> dict[str, Any]:
    """The arguments as an object that fits. Nothing at all means none. Raises Unfit.

    With `was_cut` the model ran out of room while writing: what is not whole is not guessed at.
    """
    if not text.strip():
        if was_cut:
            raise Unfit("the call was cut off before its arguments; call again with shorter ones")
        return checked({}, schema)
    return checked(_object(text, was_cut), schema)


def _object(text: str, was_cut: bool) -> dict[str, Any]:
    try:
        decoded = json.loads(text)
        decoded = json.loads(decoded) if isinstance(decoded, str) else decoded  # some models encode twice
    except (ValueError, RecursionError) as broken:
        cut = "the call was cut off; call again with shorter arguments" if was_cut else str(broken)
        raise Unfit(f"the arguments are not valid JSON: {cut}") from None
    if not isinstance(decoded, dict):
        raise Unfit("the arguments must be a JSON object")
    return decoded


def checked(arguments: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same arguments. Raises Unfit: every problem found, one after the other."""
    inner, wanted = schema.get("properties"), schema.get("required")
    properties: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
    required = wanted if isinstance(wanted, list) else []
    problems = [f"{name!r} is missing" for name in required if name not in arguments]
    if schema.get("additionalProperties") is False:
        problems += [_unknown(name, properties) for name in arguments if name not in properties]
    problems += [
        problem for name, value in arguments.items() if (problem := _mismatch(name, value, properties.get(name)))
    ]
    if problems:
        raise Unfit("; ".join(problems))
    return arguments


def _unknown(name: str, properties: Mapping[str, Any]) -> str:
    near = get_close_matches(name, properties, n=1)
    return f"there is no argument {name!r}" + (f", did you mean {near[0]!r}?" if near else "")


def _mismatch(name: str, value: Any, schema: Any) -> str | None:
    if not isinstance(schema, dict):
        return None
    if isinstance(options := schema.get("enum"), list) and value not in options:
        return f"{name!r} must be one of {json.dumps(options)[:300]}"
    kinds = schema.get("type")
    names = [str(kind) for kind in (kinds if isinstance(kinds, list) else [kinds])]
    if any(kind not in _TYPES for kind in names) or any(_is_a(value, kind) for kind in names):
        return None
    return f"{name!r} must be {' or '.join(names)}"


def _is_a(value: Any, kind: str) -> bool:
    """JSON's types; a whole number may be written 3.0 (JSON Schema 2020-12, 6.1.1)."""
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())
