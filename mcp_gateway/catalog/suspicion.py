"""Wording that deserves a look: what poisoned definitions say, and honest ones hardly ever.

Decoded definitions enter, reasons leave. They are told to operators and nothing follows from them:
a word list cannot decide what is an attack, it can say where to look (security facts, R-POIS-1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway.catalog import text
from mcp_gateway.wire import encode

MAX_BLOB_CHARS: Final = 200
"""Longer runs of base64 letters are no word, digest or key (our choice: a SHA-512 in hex has 128)."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A reason and its pattern, searched where one of the words is: that saves nearly every search."""

    reason: str
    words: tuple[str, ...]
    pattern: re.Pattern[str]

    def fits(self, prose: str) -> bool:
        return any(word in prose for word in self.words) and self.pattern.search(prose) is not None


# Lower case, one space between words; a gap ends with the sentence and with the text.
TABLE: Final = (
    Suspicion(
        "tells the model to ignore what it was told",
        ("ignore", "disregard", "forget", "override", "bypass"),
        re.compile(
            r'\b(?:ignore|disregard|forget|override|bypass)\b[^."]{0,40}\b(?:previous|prior|above|earlier|system|safety)\b'
            r'[^."]{0,20}\b(?:instruction|prompt|rule|message|guideline|polic)'
        ),
    ),
    Suspicion(
        "asks to keep something from the user",
        ("do not", "don't", "never", "without"),
        re.compile(
            r"\b(?:do not|don't|never|without) (?:tell|inform|mention|reveal|notify|alert|warn|show|let)"
            r'[^."]{0,40}\b(?:user|human|person|operator)s?\b'
        ),
    ),
    Suspicion(
        "holds a block that models take for orders",
        ("<",),
        re.compile(r"< ?/? ?(?:important|system|secret|hidden|instructions?|admin|assistant|critical)\b[^>]{0,40}>"),
    ),
    Suspicion(
        "wants a say in how other tools are used",
        ("other tool",),
        re.compile(
            r"\b(?:before|after|whenever|when) (?:you )?(?:us|call|invok|run)\w* "
            r"(?:(?:any|every|all|each)(?: of the)? )?other tools?\b"
        ),
    ),
    Suspicion(
        "mentions files that hold secrets",
        ("id_", ".ssh", ".aws", ".netrc", "/etc/", "mcp.json"),
        re.compile(
            r"\bid_(?:rsa|ed25519|ecdsa)\b|\.ssh/|\.aws/credentials|\.netrc\b|/etc/(?:passwd|shadow)\b|/mcp\.json\b"
        ),
    ),
)

_BLOB: Final = re.compile(rf"[A-Za-z0-9+/_-]{{{MAX_BLOB_CHARS},}}")


def suspicions(value: Any) -> tuple[str, ...]:
    """Why somebody should read a decoded definition or text, in the order of the table."""
    prose = _flat(value)
    reasons = [suspicion.reason for suspicion in TABLE if suspicion.fits(prose)]
    if max(map(len, prose.split()), default=0) >= MAX_BLOB_CHARS and _BLOB.search(prose):
        reasons.append("holds a long run of base64")
    return tuple(reasons)


def _flat(value: Any) -> str:
    """All texts of a value on one line, as a model reads them: lower case, and without what nobody sees.

    Quotes and brackets of JSON stay between them; encoding is a hundred times faster than walking.
    """
    encoded = encode(value).decode().replace(r"\n", " ").replace(r"\t", " ").replace(r"\"", "'").lower()
    return " ".join((encoded if encoded.isascii() else text.clean(encoded)).split())
