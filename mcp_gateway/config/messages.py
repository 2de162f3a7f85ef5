"""What pydantic found wrong, said in our words and located in the file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, get_args

from pydantic import ValidationError

from mcp_gateway.config.document import kind
from mcp_gateway.config.problems import Report, nearest
from mcp_gateway.config.section import Section
from mcp_gateway.config.tree import Leaf, Origin, Place, Table, is_unresolved, locate

_UNQUOTED = frozenset(
    {
        "env",
        "envs",
        "environment",
        "headers",
        "http_headers",
        "api_key",
        "client_secret",
        "hash",
        "proxy",
        "redis",
        "webhook",
        "url",
        "httpUrl",
        "serverUrl",
        "uri",
        "base_url",
        "args",
    }
)
"""Keys whose values, and those below them, are never shown."""

_WANTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "path_type": "a path",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}

_SAID = {
    "setting": "{text}",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_parsing": "is not a number",
    "finite_number": "is not a number",
    "literal_error": "is not one of {expected}",
    "greater_than_equal": "is less than {ge}",
    "greater_than": "is not more than {gt}",
    "less_than_equal": "is more than {le}",
    "string_too_short": "is empty",
}

_DATES = "is not a date and time such as 2027-01-31T12:00:00Z"


def report_errors(error: ValidationError, model: type[Section], tree: Table, path: str, report: Report) -> int:
    """Add a line for each error and count them. `path` is how the file spells the way to `tree`.

    What an unresolved reference breaks is passed over: the reference itself has been reported.
    """
    before = len(report.problems)
    for found in error.errors(include_url=False, include_input=False):
        loc: Sequence[str | int] = found["loc"]
        place = locate(tree, loc)
        here = ".".join(part for part in (path, place.path) if part)
        if found["type"] == "extra_forbidden":
            known = known_keys(model, loc[:-1])
            report.problem(place.key_mark, here, f"unknown key{nearest(str(loc[-1]), known)}")
        elif found["type"] == "missing":
            report.problem(place.key_mark, here, f"'{loc[-1]}' is missing")
        elif not is_unresolved(place.node):
            report.problem(place.node.mark, here, _sentence(found["type"], found.get("ctx", {}), place, here))
    return len(report.problems) - before


def known_keys(model: Any, loc: Iterable[str | int]) -> set[str]:
    """The keys that the section at `loc` knows."""
    found = models(model)
    for step in loc:
        fields = [each.model_fields[str(step)] for each in found if str(step) in each.model_fields]
        if fields:
            found = [inner for field in fields for inner in models(field.annotation)]
    return {name for each in found for name in (*each.model_fields, *each.also)}


def models(annotation: Any) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [model for argument in get_args(annotation) for model in models(argument)]


def _sentence(type: str, context: dict[str, Any], place: Place, path: str) -> str:
    if type in _WANTED:
        return f"expected {_WANTED[type]}, found {kind(place.node)}"
    said = _DATES if type.startswith("datetime") else _SAID.get(type, "is not valid")
    hint = ""
    if type == "literal_error" and isinstance(place.node, Leaf) and place.node.origin is Origin.WRITTEN:
        hint = nearest(place.node.text or "", str(context["expected"]).replace("'", " ").replace(",", " ").split())
    return f"{subject(place, path)} {said.format(**context)}{hint}"


def subject(place: Place, path: str) -> str:
    """The value in quotes when it may be shown, else a word for it."""
    if not isinstance(place.node, Leaf):
        return "it"
    secret = any(part.partition("[")[0] in _UNQUOTED for part in path.split("."))
    if secret or place.node.origin is not Origin.WRITTEN or place.node.text is None:
        return "the value"
    text = place.node.text
    return repr(text if len(text) <= 60 else text[:60] + "...")
