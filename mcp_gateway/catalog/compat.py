"""`schema_compat: safe`: what makes hosts drop or refuse a tool is rewritten, nothing else.

A decoded input schema enters; the same object leaves when there was nothing to do,
else a new one and the reasons. Results and arguments are never altered: the
upstream still judges its arguments by its own schema, so being permissive here is safe.

1. `oneOf`, `anyOf` or `allOf` at the top: Claude Code hides such a tool, OpenAI answers 400.
2. No `type: object` at the top: typed clients refuse the listing.
3. An array without `items`, at any depth: OpenAI answers 400.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mcp_gateway.catalog.headers import KEYWORD as HEADER_KEYWORD
from mcp_gateway.catalog.schemas import Schema, has_type, positions, resolve

_COMBINATORS: Final = ("allOf", "anyOf", "oneOf")
_CLOSING: Final = ("additionalProperties", "unevaluatedProperties")
_MAX_DEPTH: Final = 8
_MAX_BRANCHES: Final = 512
"""Combinators inside branches are followed this deep and this often; `$ref`s to one another could go on for ever."""


def soften(schema: Schema) -> tuple[Schema, tuple[str, ...]]:
    """An input schema that hosts take, and what was changed (nothing: the same object, no reasons)."""
    reasons: list[str] = []
    found = [keyword for keyword in _COMBINATORS if keyword in schema]
    if found:
        schema = _Folding(schema).fold(schema, _MAX_DEPTH)
        reasons.append(f"top-level {', '.join(found)} merged into one object")
    if schema.get("type") != "object":
        schema = {"type": "object"} | schema | {"type": "object"}
        reasons.append("type: object added")
    if _open_arrays(schema):
        schema = _with_items(schema)
        reasons.append("items: {} added to arrays without items")
    return schema, tuple(reasons)


def _open_arrays(schema: Schema) -> list[Schema]:
    return [inner for _, inner in positions(schema) if has_type(inner, "array") and "items" not in inner]


def _with_items(schema: Schema) -> Schema:
    copy: Schema = _copy(schema)
    for array in _open_arrays(copy):
        array["items"] = {}
    return copy


def _copy(value: Any) -> Any:
    """A copy of JSON data without shared parts."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


class _Folding:
    """Folds the combinators of one document into plain properties."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._branches_left = _MAX_BRANCHES

    def fold(self, schema: Schema, depth: int) -> Schema:
        folded = {key: value for key, value in schema.items() if key not in _COMBINATORS}
        own = _object(schema.get("properties"))
        properties = dict(own)
        required = _names(schema)
        notes: list[str] = []
        for keyword in _COMBINATORS:
            branches = list(self._branches(schema.get(keyword), depth))
            for branch in branches:
                _unite(properties, _object(branch.get("properties")), keyword)
            required |= _required(branches, keyword)
            notes += _alternatives(branches, keyword)
        if properties.keys() - own.keys():
            folded = {key: value for key, value in folded.items() if key not in _CLOSING or value is not False}
        folded["properties"] = properties
        folded |= {"required": list(required)} if required else {}
        return folded | ({"description": _described(folded.get("description"), notes)} if notes else {})

    def _branches(self, given: Any, depth: int) -> Iterator[Schema]:
        """The branches an object can satisfy; one that cannot be looked into counts as open to anything."""
        for branch in given if isinstance(given, list) else ():
            found = resolve(branch, self._root)
            if found is False or (isinstance(found, dict) and "type" in found and not has_type(found, "object")):
                continue
            self._branches_left -= 1
            look_inside = isinstance(found, dict) and depth > 0 and self._branches_left >= 0
            yield self.fold(found, depth - 1) if look_inside else {}


def _unite(properties: dict[str, Any], more: dict[str, Any], keyword: str) -> None:
    """Add a branch's properties; one that differs from its namesake becomes a combination of both.

    A namesake with a header stays alone: inside a combination its annotation would be invalid.
    """
    joined = "allOf" if keyword == "allOf" else "anyOf"
    for name, schema in more.items():
        known = properties.get(name, schema)
        if known == schema or (isinstance(known, dict) and HEADER_KEYWORD in known):
            properties[name] = known
            continue
        united = list(known[joined]) if isinstance(known, dict) and list(known) == [joined] else [known]
        properties[name] = {joined: united if schema in united else [*united, schema]}


def _required(branches: list[Schema], keyword: str) -> dict[str, None]:
    """Names that every choice needs (`anyOf`, `oneOf`), or that all parts need together (`allOf`), in order."""
    names = [_names(branch) for branch in branches]
    if keyword == "allOf":
        return {name: None for part in names for name in part}
    return {name: None for name in (names[0] if names else ()) if all(name in part for part in names)}


def _names(schema: Schema) -> dict[str, None]:
    given = schema.get("required")
    return dict.fromkeys(name for name in given if isinstance(name, str)) if isinstance(given, list) else {}


def _alternatives(branches: list[Schema], keyword: str) -> list[str]:
    if keyword == "allOf" or len(branches) < 2:
        return []
    how = "exactly one" if keyword == "oneOf" else "at least one"
    return [f"Give {how} of these sets of arguments: {'; '.join(_outline(branch) for branch in branches)}."]


def _outline(branch: Schema) -> str:
    """`title (name, name)`, optional names marked."""
    required = _names(branch)
    names = {**required, **dict.fromkeys(_object(branch.get("properties")))}
    listed = ", ".join(name if name in required else f"{name}?" for name in names) or "none"
    title = branch.get("title")
    return f"{title} ({listed})" if isinstance(title, str) else f"({listed})"


def _described(description: Any, notes: list[str]) -> str:
    return " ".join([description, *notes] if isinstance(description, str) else notes)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
