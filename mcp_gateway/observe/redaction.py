"""Secrets taken out of text: by their value, in every spelling that a library or a peer may give them, and by shape.

Covered besides the plain form: URL-encoded, base64 (standard and URL-safe, also inside
a longer text such as `user:password`), and the escapes of JSON and of `repr`. What merely looks like a credential is
the business of `shapes`.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

from mcp_gateway.observe.shapes import HIDDEN, without_shapes

__all__ = ["HIDDEN", "MIN_CHARS", "Redactor", "spellings"]

MIN_CHARS: Final = 6
"""Shorter spellings are not looked for: they would hit ordinary words (the same bound as the configuration's)."""


GENERATIONS: Final = 3
"""Of secrets that are renewed, so many are looked for: a token may be printed after its end (our choice)."""


class Redactor:
    """Replaces every known secret in a text, and whatever has the shape of one.

    What was a secret stays one: after a reload, a child may still print the old token.
    """

    def __init__(self) -> None:
        self._spellings: set[str] = set()
        self._renewed: dict[str, deque[frozenset[str]]] = {}
        self._pattern: re.Pattern[str] | None = None

    def know(self, secrets: Iterable[str]) -> None:
        """Add secrets; each line of one that has several counts by itself, since logs are read by line."""
        self._spellings.update(_sought(secrets))
        self._compile()

    def know_newest(self, owner: str, secrets: Iterable[str]) -> None:
        """The owner's secrets are these now; those of GENERATIONS ago are forgotten."""
        newest, known = frozenset(_sought(secrets)), self._renewed.setdefault(owner, deque(maxlen=GENERATIONS))
        if newest not in known:
            known.append(newest)
            self._compile()

    def _compile(self) -> None:
        everything = self._spellings.union(*(texts for known in self._renewed.values() for texts in known))
        longest_first = sorted(everything, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def clean(self, text: str) -> str:
        return without_shapes(text if self._pattern is None else self._pattern.sub(HIDDEN, text))


def _sought(secrets: Iterable[str]) -> Iterator[str]:
    for secret in secrets:
        for part in (secret, *secret.splitlines()):
            yield from (text for text in spellings(part.strip()) if len(text) >= MIN_CHARS)


def spellings(secret: str) -> Iterator[str]:
    """The secret and what it looks like once encoded."""
    yield secret
    yield from _escapes(secret)
    yield from _urls(secret)
    yield from _base64(secret.encode("utf-8", "surrogatepass"))


def _escapes(secret: str) -> Iterator[str]:
    for text in (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret)):
        yield text[1:-1]


def _urls(secret: str) -> Iterator[str]:
    for text in (quote(secret, safe="", errors="replace"), quote(secret, errors="replace"), quote_plus(secret)):
        yield text
        yield re.sub("%..", lambda escape: escape[0].lower(), text)


def _base64(secret: bytes) -> Iterator[str]:
    """What of the secret's encoding is the same whatever stands before and after it (RFC 4648, section 4).

    Three bytes make four characters, so there are three ways to begin. The characters that share
    bits with a neighbour are left out.
    """
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + secret)
        own = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6].decode()
        yield own
        yield own.translate(_URL_SAFE)


_URL_SAFE: Final = str.maketrans("+/", "-_")
