"""TOML text to a tree.

`tomllib` reads the values but keeps no places, so a light scan of the lines finds
where tables and keys stand; what it cannot place gets the mark of what holds it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from mcp_gateway.config.problems import Report
from mcp_gateway.config.tree import MAX_DEPTH, Entry, Items, Leaf, Mark, Node, Table

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*({_DOTTED})\s*=")
_AT = re.compile(r"(?P<reason>.*) \(at line (?P<line>\d+), column (?P<column>\d+)\)", re.DOTALL)

Path = tuple[str | int, ...]


def read_toml(text: str, report: Report) -> Node | None:
    """The document, None when it holds nothing.

    Raises:
        BadConfig: the text is not TOML, which includes duplicate keys.
    """
    try:
        document = tomllib.loads(text, parse_float=str)
    except tomllib.TOMLDecodeError as error:
        raise _explain(str(error), text, report) from None
    except (RecursionError, ValueError):  # an integer above Python's limit of digits
        raise report.fail(Mark(1, 1), "not TOML: a value is too deep or too long") from None
    if not document:
        return None
    marks = dict(reversed(list(_marks(text))))  # the first place of a name is its own
    return _node(document, (), Mark(1, 1), marks, report)


def _explain(reason: str, text: str, report: Report) -> Exception:
    if at := _AT.fullmatch(reason):
        return report.fail(Mark(int(at["line"]), int(at["column"])), f"not TOML: {at['reason']}")
    return report.fail(Mark(text.count("\n") + 1, 1), f"not TOML: {reason}")


def _node(value: Any, path: Path, mark: Mark, marks: dict[Path, Mark], report: Report) -> Node:
    if len(path) > MAX_DEPTH:
        raise report.fail(mark, f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        entries = []
        for key, inner in value.items():
            at = marks.get((*path, key), mark)
            entries.append(Entry(key, at, _node(inner, (*path, key), at, marks, report), key))
        return Table(tuple(entries), mark)
    if isinstance(value, list):
        numbered = ((index, marks.get((*path, index), mark)) for index in range(len(value)))
        return Items(tuple(_node(value[index], (*path, index), at, marks, report) for index, at in numbered), mark)
    if isinstance(value, bool):
        return Leaf("true" if value else "false", mark)
    return Leaf(str(value), mark)


def _marks(text: str) -> Iterator[tuple[Path, Mark]]:
    """The places of table headers and keys; a name may come up again."""
    table: Path = ()
    counts: dict[Path, int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            mark = Mark(number, header.start(1) + 1)
            table = _split(header[2])
            yield from ((table[:end], mark) for end in range(1, len(table) + 1))
            if header[1] == "[[":
                index = counts[table] = counts.get(table, -1) + 1
                table = (*table, index)
                yield table, mark
        elif assignment := _ASSIGNMENT.match(line):
            mark = Mark(number, assignment.start(1) + 1)
            keys = _split(assignment[1])
            yield from (((*table, *keys[:end]), mark) for end in range(1, len(keys) + 1))


def _split(dotted_key: str) -> tuple[str, ...]:
    """The parts of a dotted key. Escapes inside quotes are left alone: such a key gets its table's mark."""
    return tuple(part.strip("\"'") for part in re.findall(_KEY, dotted_key))
