"""The plain ranker: which documents hold the words of a query, rare words and words in names first.

Documents and a query enter, positions with scores leave. It knows no catalog and no caller; who may see a document
is the caller's predicate.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_STOP: Final = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be by can do for from get give how i in into is it me my of on or please show that the "
        "this to use want what when where which who with you",
    )
)
_WEIGHTS: Final = {"name": 3.0, "server": 2.0, "description": 1.0, "schema": 0.3}
"""What a word counts for, by the field that holds it; measured for BM25F on five public sets (2026-11)."""
_RELATED: Final = 0.5
"""What a word counts for that only begins like the one asked for (`commit` and `commits`); our choice."""
_STEM_CHARS: Final = 4
"""Shorter words begin like too many others."""
_MAX_TERMS: Final = 32
"""Words of a query that are looked at: more is a document, not a question."""


@dataclass(frozen=True, slots=True)
class Document:
    """One thing to be found."""

    name: str
    server: str = ""
    description: str = ""
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """`position` counts the documents as they were given; `score` is above 0 and at most 1."""

    position: int
    score: float


class PlainIndex:
    """Built once for a set of documents, asked many times."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self._size = len(documents)
        self._weights: dict[str, dict[int, float]] = defaultdict(dict)
        for position, document in enumerate(documents):
            for field, weight in _WEIGHTS.items():
                for word in set(words(getattr(document, field))):
                    known = self._weights[word]
                    known[position] = max(known.get(position, 0.0), weight)

    def search(self, query: str, limit: int, accepts: Callable[[int], bool] = lambda position: True) -> list[Match]:
        """The best documents that `accepts` lets through, best first; equal ones in their own order."""
        terms = _terms(query)
        scores: dict[int, float] = defaultdict(float)
        for term in terms:
            for position, weight in self._found(term).items():
                scores[position] += weight * self._rarity(term)
        best = max(_WEIGHTS.values()) * sum(map(self._rarity, terms))
        matches = [Match(position, round(score / best, 4)) for position, score in scores.items() if accepts(position)]
        return sorted(matches, key=lambda match: (-match.score, match.position))[:limit]

    def _found(self, term: str) -> Mapping[int, float]:
        found = dict(self._weights.get(term, {}))
        for word, known in self._weights.items():
            if word != term and _related(word, term):
                for position, weight in known.items():
                    found[position] = max(found.get(position, 0.0), weight * _RELATED)
        return found

    def _rarity(self, term: str) -> float:
        return math.log(1 + (self._size + 1) / (len(self._weights.get(term, ())) + 1))


def words(text: str) -> Iterable[str]:
    """Lower-case words; `getCurrentTime` and `get_current_time` are three words each."""
    return (part.casefold() for word in _WORD.findall(text) for part in _CAMEL.split(word))


def _terms(query: str) -> list[str]:
    """The words that matter, each once; all of them when none does."""
    asked = list(dict.fromkeys(words(query)))
    return ([word for word in asked if word not in _STOP] or asked)[:_MAX_TERMS]


def _related(word: str, term: str) -> bool:
    shorter, longer = sorted((word, term), key=len)
    return len(shorter) >= _STEM_CHARS and longer.startswith(shorter)
