"""Texts written by strangers: what a person cannot see must not reach a model.

Strings and encoded fields enter, cleaned ones leave. This module knows no tool and
no server; it takes away carriers (control characters, terminal escapes, bidi and
tag characters, invisible fillers) and judges no wording.
"""

from __future__ import annotations

import re
from typing import Any, Final

from mcp_gateway.wire import Raw

# Unicode 17 categories Cc (without tab, newline, return), Cf, Co and Cs, plus the fillers and variation selectors
# that carry hidden bytes. The visible Cf signs of Arabic and Kaithi stay.
_INVISIBLE: Final = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ud800-\udfff\ue000-\uf8ff\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
# ECMA-48: operating system commands up to their terminator, then control sequences and two-character escapes.
_TERMINAL: Final = r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"
_VISIBLE_NEIGHBOUR: Final = r"[^\x00-\x7f\u200b-\u200f]"
# Joiners belong inside emoji and Indic or Persian words, that is between two characters outside ASCII.
_STRAY_JOINER: Final = rf"(?<!{_VISIBLE_NEIGHBOUR})[\u200c\u200d]|[\u200c\u200d](?!{_VISIBLE_NEIGHBOUR})"
_HIDDEN: Final = re.compile(rf"{_TERMINAL}|[{_INVISIBLE}]|{_STRAY_JOINER}")
_NOT_IN_NAMES: Final = re.compile(rf"[\t\n\r\u200c\u200d{_INVISIBLE}]")

OPAQUE: Final = frozenset({"_meta", "icons", "uri", "uriTemplate"})
"""Fields of a definition that are never prose."""

_PROSE: Final = ("title", "description")
_DATA: Final = frozenset({"default", "const", "enum", "examples"})
"""JSON Schema keywords whose values are arguments: they have to arrive as they are (2020-12, validation 6.1 and 9)."""

ELLIPSIS: Final = "…"


def clean(text: str) -> str:
    """The text without what nobody can see."""
    return _HIDDEN.sub("", text)


def has_unprintable(name: str) -> bool:
    """True when a name holds characters that a reader could not see or tell apart."""
    return _NOT_IN_NAMES.search(name) is not None


def printable(name: str, limit: int = 80) -> str:
    """A stranger's name, fit for a message."""
    return _NOT_IN_NAMES.sub("", name)[:limit]


def truncate(text: str, max_bytes: int) -> str:
    """At most `max_bytes` of UTF-8, cut between characters, the cut marked."""
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    return encoded[: max_bytes - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS


def cap(value: Any, max_bytes: int) -> Any:
    """A decoded value whose titles and descriptions, anywhere inside, are at most `max_bytes` of UTF-8 each."""
    match value:
        case list():
            return [cap(item, max_bytes) for item in value]
        case dict():
            return {key: _capped(key, inner, max_bytes) for key, inner in value.items()}
    return value


def _capped(key: str, inner: Any, max_bytes: int) -> Any:
    if key in _DATA:
        return inner
    return truncate(inner, max_bytes) if key in _PROSE and isinstance(inner, str) else cap(inner, max_bytes)


def may_hide(raw: bytes | Raw) -> bool:
    """False when an encoded value certainly holds nothing hidden; cheap, for the common case."""
    encoded = bytes(raw)
    return not encoded.isascii() or b"\\" in encoded or b"\x7f" in encoded


def scrub(value: Any) -> tuple[Any, bool]:
    """Clean the titles and descriptions anywhere inside a decoded value.

    Returns the cleaned value, and whether something hidden stays in it because it
    is data (keys, defaults, enumerations) and not prose.
    """
    match value:
        case str():
            return value, _HIDDEN.search(value) is not None
        case list():
            pairs = [scrub(item) for item in value]
            return [item for item, _ in pairs], any(stays for _, stays in pairs)
        case dict():
            return _scrub_object(value)
    return value, False


def _scrub_object(value: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    cleaned: dict[str, Any] = {}
    stays = False
    for key, inner in value.items():
        if key in _PROSE and isinstance(inner, str):
            cleaned[key] = clean(inner)
            continue
        scrubbed, hides = scrub(inner)
        cleaned[key] = inner if key in _DATA else scrubbed
        stays = stays or hides or _HIDDEN.search(key) is not None
    return cleaned, stays
