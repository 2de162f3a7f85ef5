"""Words and meaning together: the scores of BM25F mixed with the similarity of vectors.

Scores and vectors enter, scores leave. Where vectors come from, and when they are made, is the owner's business: this
room asks a callable that answers at once. What it does not know yet costs nothing but its help.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from operator import mul
from typing import Final

Vector = Sequence[float]
Vectors = Callable[[str], Vector | None]
"""The vector of a query or of a document's passage, of length 1 (`unit`); None when there is none (yet).

Called on the searching thread, once for the query and once for each document.
"""

MOST_SHARE: Final = 0.65
HALF_WORDS: Final = 13
"""What meaning counts for, `meaning_share`: at most `MOST_SHARE`, half at `HALF_WORDS` content words, less beyond.

A wish of few words is often put in other words than the tool's. The more words a query has, the more of them the right
tools hold, and the more things are blurred in its one vector. The upper bound is for names typed as they are, one or
two words: without it they lose up to 3 points of recall@1 against words alone.

Our choice, measured 2026-11 with all-MiniLM-L6-v2 on the development rows of four sets (docs/search.md): with 11 to 15
words no set loses recall@1, recall@5 or MRR against words alone, whatever the bound between .6 and .75; 13 is the
middle.
"""


def unit(vector: Vector) -> list[float]:
    """The vector at length 1, for whoever keeps vectors; one of nothing but zeros stays."""
    length = math.sqrt(_dot(vector, vector)) or 1.0
    return [value / length for value in vector]


def similarities(query: str, passages: Sequence[str], vectors: Vectors) -> list[float | None] | None:
    """The cosine of each passage, None for one without a vector; None altogether when the query has none."""
    wanted = vectors(query)
    if wanted is None:
        return None
    known = map(vectors, passages)
    return [None if vector is None else _dot(wanted, vector) for vector in known]


def meaning_share(words: int) -> float:
    """What meaning counts for in a query of so many content words, 0..1; words count for the rest."""
    return min(MOST_SHARE, HALF_WORDS / (HALF_WORDS + words))


def mixed(scores: Mapping[int, float], meaning: Sequence[float | None], words: int) -> dict[int, float]:
    """Position -> mixed score. `words` is the number of the query's content words.

    Both kinds of score are brought to 0..1 for this query. A document without a vector keeps its score by words.
    """
    share = meaning_share(words)
    known = [cosine for cosine in meaning if cosine is not None]
    least, span = (min(known), max(known) - min(known)) if known else (0.0, 0.0)
    top = max(scores.values(), default=0.0)
    result = {}
    for position, cosine in enumerate(meaning):
        by_words = scores.get(position, 0.0) / top if top else 0.0
        by_meaning = by_words if cosine is None or not span else (cosine - least) / span
        result[position] = (1 - share) * by_words + share * by_meaning
    return result


if sys.version_info >= (3, 12):  # pragma: no cover - one branch for each version of Python
    _dot = math.sumprod
else:  # pragma: no cover - as above; several times slower

    def _dot(one: Vector, other: Vector) -> float:
        return float(sum(map(mul, one, other)))
