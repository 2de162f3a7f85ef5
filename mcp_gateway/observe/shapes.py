"""Text that looks like a credential, whoever's it is: what the gateway was never told as a secret.

A text enters and leaves without them. Each shape has a word that a text must hold before its pattern is tried, so that
ordinary lines cost a few searches for words; every repetition is bounded, or followed by what it cannot itself match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

HIDDEN: Final = "[redacted]"


@dataclass(frozen=True, slots=True)
class Shape:
    """`words` are lower-case; one of them is in every text that the pattern fits. Its group `kept`, if any, stays."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]


def _shape(words: str, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> Shape:
    return Shape(tuple(words.split()), re.compile(pattern, flags))


_NOT_HIDDEN = r"(?!\[redacted\])"
_SCHEMES = "bearer|basic|digest|token|apikey|negotiate|dpop"
_NAMES = r"passw(?:or)?d|pwd|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|signature"

SHAPES: Final = (
    # Prefixes as documented by GitHub, OpenAI and Anthropic, Slack, AWS, Google, GitLab, npm and Hugging Face; ours.
    _shape("ghp_ gho_ ghu_ ghs_ ghr_", r"\bgh[pousr]_[A-Za-z0-9]{16,}"),
    _shape("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{16,}"),
    _shape("sk-", r"\bsk-[A-Za-z0-9_-]{16,}"),
    _shape("xox", r"\bxox[a-z]-[A-Za-z0-9-]{10,}"),
    _shape("akia asia", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    _shape("aiza", r"\bAIza[A-Za-z0-9_-]{30,}"),
    _shape("glpat-", r"\bglpat-[A-Za-z0-9_-]{16,}"),
    _shape("npm_ hf_", r"\b(?:npm|hf)_[A-Za-z0-9]{24,}"),
    _shape("mgw_ mgs_", r"\bmg[ws]_[A-Za-z0-9_-]{16,}"),
    # A JWT: two JSON objects and a signature in base64url (RFC 7515, section 3.1).
    _shape("eyj", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    # RFC 6750 and RFC 7617; prose that goes on with a word is none.
    _shape("bearer basic", r"(?P<kept>\b(?:bearer|basic)\s{1,4})(?=[A-Za-z._~+/-]{0,512}[0-9=])[\w.~+/=-]{8,}", re.I),
    _shape(
        "authorization",
        rf"""(?P<kept>authorization["']?\s{{0,2}}[:=]\s{{0,2}}["']?(?:(?:{_SCHEMES})\s{{1,4}})?+){_NOT_HIDDEN}[^\s"',]{{3,}}""",
        re.I,
    ),
    # RFC 3986, section 3.2.1.
    _shape("://", rf"(?P<kept>://){_NOT_HIDDEN}[^\s/@\"'<>?#]{{1,512}}(?=@)"),
    _shape(
        "passw pwd passphrase secret token key credential signature",
        rf"""(?P<kept>(?:{_NAMES})(?:=|["']\s{{0,2}}[:=]\s{{0,2}}["'])){_NOT_HIDDEN}[^\s&"'<>;,)\]}}]{{3,}}""",
        re.I,
    ),
)


_ANY_WORD: Final = re.compile("|".join(re.escape(word) for shape in SHAPES for word in shape.words))


def without_shapes(text: str) -> str:
    """The text, and `[redacted]` where a credential seemed to stand."""
    if _ANY_WORD.search(text.lower()) is None:
        return text
    lowered = text.lower()
    for shape in SHAPES:
        if any(word in lowered for word in shape.words):
            text = shape.pattern.sub(_hidden, text)
    return text


def _hidden(match: re.Match[str]) -> str:
    return f"{match.groupdict().get('kept', '')}{HIDDEN}"
