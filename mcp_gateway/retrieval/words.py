"""Text as the words that search compares. Text enters, words leave; which of them matter is decided elsewhere.

`getHTTPStatus`, `get_http_status` and "getting HTTP statuses" have the same words. The stemmer takes off plurals, -ing
and -ed and no more: a greedy one makes "news" a "new" thing (recall@5 .98 -> .84 on MCPToolBench++, 2026-11).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+")
_ACCENT: Final = re.compile("[\u0300-\u036f]")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_DIGITS: Final = re.compile(r"(?<=[^\W\d_]{3})(?=\d)")
"""`page2` is a page; `s3`, `mp3` and `3d` are words of their own."""
_UNSPACED: Final = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+)")
"""Kana, Han and Hangul: scripts that write words together, or bend them."""

_VOWEL: Final = re.compile("[aeiouy]")
_DOUBLED: Final = re.compile(r"([bdgmnprt])\1$")
_SHORT: Final = re.compile("^[^aeiou]?[aeiou][^aeiouwxy]$")
"""What is left of making, used and rating: a silent e is missing."""
_MIN_STEMMED_CHARS: Final = 4
_MIN_SILENT_CHARS: Final = 5
"""Shorter words are their own stems: rate is not a rat."""

_UNBENT: Final = frozenset(
    re.findall(
        r"\w+",
        "always anything atlas bias bonus canvas ceiling chaos corps during embed evening everything gas hundred https "
        "kubernetes lens morning news nothing postgres redis series setting something species wedding",
    )
)
"""Words that end like a plural, an -ing or an -ed and are none, or mean something else without it."""

_KNOWN_WORDS: Final = 20_000
"""Words whose stems are remembered: more than a large catalog has, about 3 MB when full (our choice)."""


def words(text: str) -> list[str]:
    """The stems of a text's words, in order. A two-part word such as GitHub is there whole, too: many write it so."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", _ACCENT.sub("", unicodedata.normalize("NFKD", text)))
    return [stem for word in _WORD.findall(text) for stem in _stems(word)]


@lru_cache(_KNOWN_WORDS)
def _stems(word: str) -> tuple[str, ...]:
    parts = [part for piece in _CAMEL.split(word) for part in _DIGITS.split(piece)]
    whole = ["".join(parts)] if len(parts) == 2 and not parts[1].isdigit() else []
    return tuple(stem(piece) for part in (*parts, *whole) for piece in _pieces(part.casefold()))


def _pieces(word: str) -> list[str]:
    """Scripts without spaces become overlapping pairs of characters."""
    if word.isascii():
        return [word]
    return [piece for run in _UNSPACED.split(word) if run for piece in _pairs(run)]


def _pairs(run: str) -> list[str]:
    if len(run) < 3 or not _UNSPACED.match(run):
        return [run]
    return [run[start : start + 2] for start in range(len(run) - 1)]


def stem(word: str) -> str:
    """The lower-case word without its English plural, -ing or -ed; other words and other languages stay."""
    if len(word) < _MIN_STEMMED_CHARS or not (word.isascii() and word.isalpha()) or word in _UNBENT:
        return word
    single = _singular(word)
    if single in _UNBENT:
        return single
    return _silenced(_plain_verb(single))


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes", "zzes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _plain_verb(word: str) -> str:
    if word.endswith("ied") and len(word) > 4:
        return word[:-3] + "y"
    ending = 3 if word.endswith("ing") else 2 if word.endswith("ed") and not word.endswith("eed") else 0
    root = word[: len(word) - ending]
    if not ending or len(root) < 2 or not _VOWEL.search(root):
        return word
    if len(root) > 3 and _DOUBLED.search(root):
        return root[:-1]
    return root + "e" if _SHORT.match(root) else root


def _silenced(word: str) -> str:
    return word[:-1] if word.endswith("e") and len(word) >= _MIN_SILENT_CHARS else word


STOP: Final = frozenset(
    stem(word)
    for word in re.findall(
        r"\w+",
        "a about after all also am an and any are as at be been but by can could did do does each for from had has "
        "have he her here his how i if in into is it its just let like may me might more most must my need no not "
        "of on or our out please shall she should so some than that the their them then there these they this "
        "those to too us use used using via want was we were what when where which while who whom whose why will "
        "with would you your",
    )
)
"""The stems of words that say nothing about a tool; in a query of nothing else they are looked up all the same."""
