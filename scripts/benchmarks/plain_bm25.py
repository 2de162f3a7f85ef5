"""A plain BM25 to compare with: one text per tool, lower-case words, no stemming, k1 1.5 and b .75 (Okapi)."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

K1, B = 1.5, 0.75


class PlainBm25:
    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_words(text)) for text in texts]
        mean = sum(count.total() for count in counts) / len(counts)
        self._size = len(texts)
        self._postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for position, count in enumerate(counts):
            room = K1 * (1 - B + B * count.total() / mean)
            for word, times in count.items():
                self._postings[word].append((position, times * (K1 + 1) / (times + room)))

    def search(self, query: str, limit: int) -> list[int]:
        scores: dict[int, float] = defaultdict(float)
        for word in _words(query):
            posting = self._postings.get(word, [])
            rarity = math.log(1 + (self._size - len(posting) + 0.5) / (len(posting) + 0.5))
            for position, gain in posting:
                scores[position] += rarity * gain
        return sorted(scores, key=lambda position: (-scores[position], position))[:limit]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower())
