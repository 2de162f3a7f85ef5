"""What is searched, and what is found.

The words of a document are plain text in fields; whatever the document stands for is the caller's `subject`, which is
handed back untouched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

Subject = TypeVar("Subject")

_MAX_DEPTH: Final = 8
"""Deeper schemas describe data, not a tool (our choice)."""
_MAX_SCHEMA_CHARS: Final = 8_000
"""A schema longer than this would outweigh the index of a hundred tools (our choice)."""


@dataclass(frozen=True, slots=True)
class Document(Generic[Subject]):
    """One thing to be found."""

    subject: Subject
    name: str
    server: str = ""
    title: str = ""
    description: str = ""
    schema: str = ""

    @property
    def passage(self) -> str:
        """The text an embedding model is given; schema text makes vectors worse (measured, 2026-11)."""
        return f"{self.server} {self.title or self.name}: {self.description}".strip()


@dataclass(frozen=True, slots=True)
class Hit(Generic[Subject]):
    """`rank` counts from 1. `score` lies between 0 and 1; of several queries it is the best."""

    rank: int
    score: float
    document: Document[Subject]


def schema_text(schema: Any) -> str:
    """The parameter names and descriptions of a JSON Schema, as far as they are worth reading."""
    parts: list[str] = []
    room = _MAX_SCHEMA_CHARS
    for part in _schema_parts(schema, _MAX_DEPTH):
        room -= len(part) + 1
        if room < 0:
            break
        parts.append(part)
    return " ".join(parts)


def _schema_parts(schema: Any, depth: int) -> Iterator[str]:
    if depth == 0 or not isinstance(schema, Mapping):
        return
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        yield str(name)
        yield from _described(inner, depth - 1)
    yield from _described(schema.get("items"), depth - 1)
    for keyword in ("anyOf", "oneOf", "allOf"):
        branches = schema.get(keyword)
        for branch in branches if isinstance(branches, Sequence) and not isinstance(branches, str) else ():
            yield from _described(branch, depth - 1)


def _described(schema: Any, depth: int) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for field in ("title", "description"):
            if isinstance(text := schema.get(field), str):
                yield text
        yield from _schema_parts(schema, depth)
