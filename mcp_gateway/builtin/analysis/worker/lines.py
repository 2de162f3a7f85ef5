"""Counting lines. By line, not by token: it must work for code that does not parse."""

from __future__ import annotations


def count(code: str, line_comment: str, block_comment: list[str] | None) -> dict[str, int]:
    """How many lines hold code, only a comment, or nothing."""
    counts = {"total": 0, "code": 0, "comment": 0, "blank": 0}
    inside = False
    for line in code.removesuffix("\n").split("\n") if code else ():  # a form feed ends no line
        kind, inside = _kind(line.strip(), line_comment, block_comment, inside)
        counts["total"] += 1
        counts[kind] += 1
    return counts


def _kind(line: str, line_comment: str, block_comment: list[str] | None, inside: bool) -> tuple[str, bool]:
    """What a line is, and whether a block comment goes on after it.

    1. empty                                             blank
    2. inside a block comment, or one begins the line    comment, until something follows its end
    3. a line comment                                    comment
    4. anything else                                     code
    """
    if not line:
        return "blank", inside
    if block_comment is not None:
        start, end = block_comment
        if not inside and line.startswith(start):
            inside, line = True, line[len(start) :]
        elif not inside and not line.startswith(line_comment):
            return "code", line.rfind(start) > line.rfind(end)
        if inside:
            _, closed, after = line.partition(end)
            return ("code" if after.strip() else "comment"), not closed
    return ("comment" if line_comment and line.startswith(line_comment) else "code"), False
