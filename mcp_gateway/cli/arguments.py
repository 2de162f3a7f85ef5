"""NAME=VALUE words to a tool's arguments, as its input schema wants them.

Text stays text; numbers, booleans, null, arrays and objects are read as JSON where the
schema has a place for them. What fits nowhere goes to the tool as text: it knows best
what to say about it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mcp_gateway.errors import InvalidParams

MAX_DEPTH: Final = 20
"""References and alternatives followed within one schema; more is a loop (our choice)."""

_ABSENT: Final = object()


def from_words(pairs: Sequence[str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments from words; a name that is given several times makes a list. Raises InvalidParams."""
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    arguments: dict[str, Any] = {}
    for name, texts in _by_name(pairs).items():
        allowed = _Allowed(schema).add(known.get(name))
        if "array" in allowed.types and (len(texts) > 1 or _is_lone_item(texts[0], allowed)):
            arguments[name] = [_value(text, _Allowed(schema).add(allowed.items)) for text in texts]
        elif len(texts) == 1:
            arguments[name] = _value(texts[0], allowed)
        else:
            raise InvalidParams(f"{name!r} is given {len(texts)} times, but takes one value")
    return arguments


def from_json(text: str | bytes) -> dict[str, Any]:
    """Arguments from one JSON object. Raises InvalidParams."""
    decoded = _json(text)
    if not isinstance(decoded, dict):
        raise InvalidParams("the arguments are not a JSON object")
    return decoded


def _by_name(pairs: Iterable[str]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise InvalidParams(f"{pair!r} is not NAME=VALUE; or give all arguments with --json-args")
        if not _is_unicode(pair):
            raise InvalidParams(f"the value of {name!r} is not UTF-8 text")
        texts.setdefault(name, []).append(text)
    return texts


def _is_unicode(text: str) -> bool:
    """False for bytes that the shell passed and that are no text."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


class _Allowed:
    """What a schema allows, as far as it says so plainly: types, listed values, the schema of items."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.types: set[str] = set()
        self.values: list[Any] = []
        self.items: Any = None
        self._root = root

    def add(self, schema: Any, depth: int = 0) -> _Allowed:
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            return self
        kind = schema.get("type")
        self.types.update([kind] if isinstance(kind, str) else _list(kind))
        self.values += _list(schema.get("enum"))
        if "const" in schema:
            self.values.append(schema["const"])
        self.items = schema.get("items", self.items)
        if isinstance(reference := schema.get("$ref"), str):
            self.add(_resolved(reference, self._root), depth + 1)
        for branch in (*_list(schema.get("anyOf")), *_list(schema.get("oneOf")), *_list(schema.get("allOf"))):
            self.add(branch, depth + 1)
        return self


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolved(reference: str, root: Any) -> Any:
    """What `#/$defs/Name` points to; None outside this schema (RFC 6901 for the fragment)."""
    if not reference.startswith("#/"):
        return root if reference == "#" else None
    node = root
    for step in reference[2:].split("/"):
        if not isinstance(node, dict):
            return None
        node = node.get(step.replace("~1", "/").replace("~0", "~"))
    return node


def _value(text: str, allowed: _Allowed) -> Any:
    """One word's value.

    1. One of the values that the schema lists, as it is listed.
    2. `null` where null is allowed.
    3. Text, where the schema allows text and the word is no array or object that it also allows.
    4. What the word means as JSON, else text.
    """
    decoded = _json(text)
    for value in allowed.values:
        if value == text or (type(value) is type(decoded) and value == decoded):
            return value
    if decoded is None and "null" in allowed.types:
        return None
    nested = (isinstance(decoded, dict) and "object" in allowed.types) or (
        isinstance(decoded, list) and "array" in allowed.types
    )
    if decoded is _ABSENT or ("string" in allowed.types and not nested):
        return text
    if not allowed.types and allowed.values:
        return text
    return decoded


def _is_lone_item(text: str, allowed: _Allowed) -> bool:
    """Whether one word can only be the single item of a list."""
    return "string" not in allowed.types and not isinstance(_json(text), list)


def _json(text: str | bytes) -> Any:
    """The decoded text, `_ABSENT` when it is not JSON; NaN and infinities are not."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _ABSENT


def _refuse(constant: str) -> Any:
    raise ValueError(constant)
