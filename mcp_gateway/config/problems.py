"""Everything that is wrong with a configuration file, one line each.

Problems and notes are collected and reported together; a line never shows the
value of a secret, a header, an environment variable or an interpolated text.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mcp_gateway.config.tree import Mark
from mcp_gateway.errors import BadConfig

MAX_LINES = 100
"""Problems listed before the rest is only counted. Our choice: nobody reads more."""


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One finding; sorts by its place in the file."""

    mark: Mark
    path: str
    text: str

    def render(self, file: str) -> str:
        where = f"{file}:{self.mark.line}:{self.mark.column}:"
        return one_line(f"{where} {self.path}: {self.text}" if self.path else f"{where} {self.text}")


@dataclass(slots=True)
class Report:
    """What was found in one file. `file` is the name shown, without its folder."""

    file: str
    problems: list[Line] = field(default_factory=list)
    notes: list[Line] = field(default_factory=list)

    def problem(self, mark: Mark, path: str, text: str) -> None:
        self.problems.append(Line(mark, path, text))

    def note(self, mark: Mark, path: str, text: str) -> None:
        self.notes.append(Line(mark, path, text))

    def error(self) -> BadConfig:
        """The error that lists every problem so far."""
        lines = [line.render(self.file) for line in sorted(set(self.problems))]
        hidden = len(lines) - MAX_LINES
        if hidden > 0:
            lines = [*lines[:MAX_LINES], f"{self.file}: and {hidden} more"]
        return BadConfig("\n".join(lines))

    def duplicate(self, mark: Mark, path: str, first: Mark) -> None:
        self.problem(mark, path, f"duplicate key, first written on line {first.line}")

    def fail(self, mark: Mark, text: str) -> BadConfig:
        """The error for a file that cannot be read any further."""
        return BadConfig(Line(mark, "", text).render(self.file))

    def rendered_notes(self) -> tuple[str, ...]:
        return tuple(line.render(self.file) for line in sorted(set(self.notes)))


def one_line(text: str) -> str:
    """Control characters, line breaks and lone surrogates become visible escapes."""
    return re.sub(r"[^\x20-\x7e\xa0-\ud7ff\ue000-\U0010ffff]|[\u2028\u2029]", lambda odd: ascii(odd[0])[1:-1], text)


def nearest(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?` for the closest known word, or nothing."""
    folded = {name.casefold(): name for name in sorted(known)}
    close = difflib.get_close_matches(word.casefold()[:80], folded, n=1, cutoff=0.6)
    return f", did you mean {folded[close[0]]!r}?" if close else ""
