"""RFC 6570 URI templates, read backwards: does a concrete URI come from this template?

A template enters once, URIs are tried against it. The values of variables are not
recovered: the owner of the URI is all that is asked for.

A translation to a regular expression would backtrack on templates such as
`{+a}{+b}{+c}`, and templates come from strangers. Here the positions reached so far
are the bits of one integer, moved over a part at a time: a few operations on
integers as long as the URI for each part, whatever the template.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

MAX_URI_CHARS: Final = 4_096
"""Longer URIs match no template. Our choice."""

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

    def matches(self, uri: UriText) -> bool:
        if uri.length > MAX_URI_CHARS:
            return False
        reached = 1
        for part in self.parts:
            reached = uri.past_literal(part, reached) if isinstance(part, str) else uri.past_hole(part, reached)
            if not reached:
                return False
        return bool(reached >> uri.length & 1)


class UriText:
    """A concrete URI, for trying many templates. Bit n of a mask speaks of position n."""

    def __init__(self, uri: str) -> None:
        self.length: Final = len(uri)
        self._backwards = uri[::-1]
        self._masks: dict[str, int] = {}

    def past_literal(self, literal: str, reached: int) -> int:
        for character in literal:
            reached = (reached & self._where(character)) << 1
            if not reached:
                break
        return reached

    def past_hole(self, hole: _Hole, reached: int) -> int:
        starts = reached & self._where(hole.first) if hole.first else reached
        allowed = (1 << self.length) - 1
        for character in hole.never:
            allowed &= ~self._where(character)
        starts &= allowed
        # Adding carries from each start to the end of its run of allowed characters.
        filled = (allowed & ~(allowed + starts)) | starts
        return filled << 1 | (reached if hole.may_be_empty else 0)

    def _where(self, character: str) -> int:
        mask = self._masks.get(character)
        if mask is None:
            bits = "".join("1" if other == character else "0" for other in self._backwards)
            mask = self._masks[character] = int(bits or "0", 2)
        return mask


def _hole(expression: str) -> _Hole | None:
    operator = expression[:1] if expression[:1] in _HOLES else ""
    return _HOLES[operator] if _VARIABLES.fullmatch(expression[len(operator) :]) else None
