"""Data from outside that does not fit its model: what is wrong, in words that say what would be right.

A `ValidationError` of pydantic enters, one line leaves. Values are never quoted: there may be a secret among them.
"""

from __future__ import annotations

from difflib import get_close_matches

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def reasons(invalid: ValidationError, model: type[BaseModel], *, noun: str) -> str:
    """What is wrong with each field; `noun` is what the caller knows the fields as: `argument`, `member`."""
    problems = invalid.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(_reason(problem, model, noun) for problem in problems)


def _reason(problem: ErrorDetails, model: type[BaseModel], noun: str) -> str:
    where = ".".join(map(str, problem["loc"])) or f"{noun}s"
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg'].removeprefix('Value error, ')}"
    if len(problem["loc"]) > 1:
        return f"unknown {noun} {where!r}"
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = get_close_matches(where, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known) or 'none'}"
    return f"unknown {noun} {where!r}, {hint}"
