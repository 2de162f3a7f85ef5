"""A configuration file as a tree of nodes that remember where they stand.

The readers build it, respelling and interpolation rewrite it, the models are fed
from it and messages are located in it. Scalars are kept as source text: whoever
needs a number or a boolean converts it, so `3.10`, `12:30` and `no` never change
their meaning on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

MAX_DEPTH = 64
"""Nesting accepted in a file. Our choice: the deepest real configuration has seven levels."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the file, counted from 1."""

    line: int
    column: int


class Origin(Enum):
    """How a scalar came by its text."""

    WRITTEN = "written"
    INTERPOLATED = "interpolated"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A scalar; `text` is None for null. Text that was interpolated is never quoted in messages."""

    text: str | None
    mark: Mark
    origin: Origin = Origin.WRITTEN


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Entry:
    """One key and its value. `written` is the key as the file spells it, "" for a level that the file does not have."""

    key: str
    mark: Mark
    value: Node
    written: str

    def renamed(self, key: str) -> Entry:
        return replace(self, key=key)


@dataclass(frozen=True, slots=True)
class Table:
    """A mapping, in the order of the file; keys are unique."""

    entries: tuple[Entry, ...]
    mark: Mark

    def get(self, key: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.key == key), None)

    def text(self, key: str) -> str | None:
        """The text of a scalar value; None when the key is absent, null or not a scalar."""
        entry = self.get(key)
        return entry.value.text if entry and isinstance(entry.value, Leaf) else None

    def put(self, entry: Entry) -> Table:
        """With `entry` in the place of the one of the same key, or at the end."""
        if self.get(entry.key) is None:
            return replace(self, entries=(*self.entries, entry))
        return replace(self, entries=tuple(entry if old.key == entry.key else old for old in self.entries))

    def without(self, *keys: str) -> Table:
        return replace(self, entries=tuple(entry for entry in self.entries if entry.key not in keys))


Node = Leaf | Items | Table


def made(key: str, value: Node, mark: Mark) -> Entry:
    """An entry that the file does not have."""
    return Entry(key, mark, value, "")


def plain(node: Node) -> Any:
    """The bare value: text, lists and dicts. A key whose value is null counts as not written."""
    match node:
        case Leaf():
            return node.text
        case Items():
            return [plain(item) for item in node.items]
        case Table():
            present = (entry for entry in node.entries if not is_null(entry.value))
            return {entry.key: plain(entry.value) for entry in present}


def is_null(node: Node) -> bool:
    return isinstance(node, Leaf) and node.text is None


def is_unresolved(node: Node) -> bool:
    """A scalar whose reference has no value, or a list that holds one."""
    if isinstance(node, Items):
        return any(is_unresolved(item) for item in node.items)
    return isinstance(node, Leaf) and node.origin is Origin.UNRESOLVED


def leaves(node: Node) -> Iterator[Leaf]:
    """Every scalar below, in the order of the file."""
    match node:
        case Leaf():
            yield node
        case Items():
            for item in node.items:
                yield from leaves(item)
        case Table():
            for entry in node.entries:
                yield from leaves(entry.value)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of keys and indexes leads: what is there, how the file spells the way, where its key stands."""

    node: Node
    path: str
    key_mark: Mark


def locate(node: Node, loc: Sequence[str | int]) -> Place:
    """Follow `loc` as far as the tree goes; steps that lead nowhere (names of union arms) are passed over."""
    path, key_mark = "", node.mark
    for step in loc:
        if isinstance(node, Table) and (entry := node.get(str(step))):
            path = dotted(path, entry.written)
            node, key_mark = entry.value, entry.mark
        elif isinstance(node, Items) and isinstance(step, int) and step < len(node.items):
            path = f"{path}[{step}]"
            node = node.items[step]
            key_mark = node.mark
    return Place(node, path, key_mark)


def dotted(path: str, key: str) -> str:
    """`path.key`, without an empty half, on one line whatever the key holds."""
    shown = key if key.isprintable() and len(key) <= 80 else repr(key[:80])
    return ".".join(part for part in (path, shown) if part)
