"""JSON text to a tree: tabs, comments and trailing commas are welcome, as hosts' files have them."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field

from mcp_gateway.config.problems import Report
from mcp_gateway.config.tree import MAX_DEPTH, Entry, Items, Leaf, Mark, Node, Table, dotted

_SPACE = re.compile(r"\s+|//[^\n]*|/\*.*?\*/", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_WORD = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|true\b|false\b|null\b", re.ASCII)


def read_json(text: str, report: Report) -> Node | None:
    """The value in `text`, None when there is nothing but space and comments. Duplicate keys go to the report.

    Raises:
        BadConfig: the text is not JSON.
    """
    reader = _Reader(text, report)
    if reader.is_done():
        return None
    node = reader.value("", 0)
    if not reader.is_done():
        raise reader.fail("something after the end of the value")
    return node


@dataclass(slots=True)
class _Reader:
    """A recursive-descent reader at one position of the text."""

    text: str
    report: Report
    position: int = 0
    newlines: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.newlines = [match.start() for match in re.finditer("\n", self.text)]

    def is_done(self) -> bool:
        self.skip_space()
        return self.position >= len(self.text)

    @property
    def ahead(self) -> str:
        """The next character, "" at the end."""
        return self.text[self.position : self.position + 1]

    def mark(self) -> Mark:
        row = bisect_right(self.newlines, self.position - 1)
        start = self.newlines[row - 1] + 1 if row else 0
        return Mark(row + 1, self.position - start + 1)

    def fail(self, what: str) -> Exception:
        return self.report.fail(self.mark(), f"not JSON: {what}")

    def unexpected(self, wanted: str) -> Exception:
        found = repr(self.ahead) if self.ahead else "the end of the file"
        return self.fail(f"expected {wanted}, found {found}")

    def skip_space(self) -> None:
        while match := _SPACE.match(self.text, self.position):
            self.position = match.end()

    def take(self, character: str) -> bool:
        self.skip_space()
        if self.ahead != character:
            return False
        self.position += 1
        return True

    def value(self, path: str, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels")
        self.skip_space()
        mark = self.mark()
        if self.take("{"):
            return self.table(mark, path, depth)
        if self.take("["):
            return self.items(mark, path, depth)
        if self.ahead == '"':
            return Leaf(self.string(), mark)
        if match := _WORD.match(self.text, self.position):
            self.position = match.end()
            return Leaf(None if match[0] == "null" else match[0], mark)
        raise self.unexpected("a value")

    def table(self, mark: Mark, path: str, depth: int) -> Table:
        entries: dict[str, Entry] = {}
        while not self.take("}"):
            key_mark = self.mark()
            if self.ahead != '"':
                raise self.unexpected("a key in double quotes or '}'")
            key = self.string()
            if not self.take(":"):
                raise self.unexpected("':'")
            value = self.value(dotted(path, key), depth + 1)
            if key in entries:
                self.report.duplicate(key_mark, dotted(path, key), entries[key].mark)
            else:
                entries[key] = Entry(key, key_mark, value, key)
            self.end_member("}")
        return Table(tuple(entries.values()), mark)

    def items(self, mark: Mark, path: str, depth: int) -> Items:
        items: list[Node] = []
        while not self.take("]"):
            items.append(self.value(f"{path}[{len(items)}]", depth + 1))
            self.end_member("]")
        return Items(tuple(items), mark)

    def end_member(self, closing: str) -> None:
        """A comma (perhaps trailing), or the closing bracket, which stays."""
        if self.take(",") or self.ahead == closing:
            return
        raise self.unexpected(f"',' or '{closing}'")

    def string(self) -> str:
        match = _STRING.match(self.text, self.position)
        if match is None:
            raise self.fail("a string without its closing quote on the same line")
        try:
            decoded = str(json.loads(match[0], strict=False))
        except ValueError:
            raise self.fail("a string with a broken escape") from None
        self.position = match.end()
        return decoded
