"""RFC 6570 URI templates, read backwards: does a concrete URI come from this template?

A template enters once, URIs are tried against it. The values of variables are not
recovered: the owner of the URI is all that is asked for.

A translation to a regular expression would backtrack on templates such as
`{+a}{+b}{+c}`, and templates come from strangers. Here the set of positions reached
so far is carried over each part: at most parts times characters steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_URI_CHARS: Final = 8_192
"""Longer URIs match no template. Our choice: the customary limit of HTTP servers for a request line."""

MAX_EXPRESSIONS: Final = 64
"""More variables make it no template. Our choice."""

_EXPRESSION: Final = re.compile(r"\{([^{}]*)\}")
_VARIABLES: Final = re.compile(r"[\w.%-]+(?:\*|:\d{1,4})?(?:,[\w.%-]+(?:\*|:\d{1,4})?)*", re.ASCII)


class _Hole(NamedTuple):
    """What an expression may expand to: `first` and then any characters but those of `never`."""

    first: str
    never: str
    may_be_empty: bool


# RFC 6570, 3.2.2 to 3.2.9. Variables of simple and reserved expansion are taken to have a value.
_HOLES: Final = {
    "": _Hole("", "/?#", may_be_empty=False),
    "+": _Hole("", "", may_be_empty=False),
    "#": _Hole("#", "", may_be_empty=True),
    ".": _Hole(".", "/?#", may_be_empty=True),
    "/": _Hole("/", "?#", may_be_empty=True),
    ";": _Hole(";", "/?#", may_be_empty=True),
    "?": _Hole("?", "#", may_be_empty=True),
    "&": _Hole("&", "#", may_be_empty=True),
}


@dataclass(frozen=True, slots=True)
class UriTemplate:
    """A parsed template: literals and holes, in order."""

    parts: tuple[str | _Hole, ...]

    @classmethod
    def parse(cls, template: str) -> UriTemplate | None:
        """The template, or None when its braces or expressions are not RFC 6570's."""
        pieces = _EXPRESSION.split(template)
        literals, expressions = pieces[::2], pieces[1::2]
        if any("{" in literal or "}" in literal for literal in literals) or len(expressions) > MAX_EXPRESSIONS:
            return None
        parts: list[str | _Hole] = [literals[0]]
        for expression, literal in zip(expressions, literals[1:], strict=True):
            hole = _hole(expression)
            if hole is None:
                return None
            parts += [hole, literal]
        return cls(tuple(part for part in parts if part != ""))

    def matches(self, uri: str) -> bool:
        if len(uri) > MAX_URI_CHARS:
            return False
        reached = {0}
        for part in self.parts:
            reached = _past_literal(uri, part, reached) if isinstance(part, str) else _past_hole(uri, part, reached)
            if not reached:
                return False
        return len(uri) in reached


def _hole(expression: str) -> _Hole | None:
    operator = expression[:1] if expression[:1] in _HOLES else ""
    return _HOLES[operator] if _VARIABLES.fullmatch(expression[len(operator) :]) else None


def _past_literal(uri: str, literal: str, reached: set[int]) -> set[int]:
    return {start + len(literal) for start in reached if uri.startswith(literal, start)}


def _past_hole(uri: str, hole: _Hole, reached: set[int]) -> set[int]:
    ends: set[int] = set()
    for start in sorted(reached):
        if not uri.startswith(hole.first, start):
            continue
        end = start + 1
        # Whatever lies beyond an end that is known already was found from the earlier start.
        while end <= len(uri) and end not in ends and uri[end - 1] not in hole.never:
            ends.add(end)
            end += 1
    return ends | reached if hole.may_be_empty else ends
