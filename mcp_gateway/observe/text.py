"""Text of strangers made fit for a terminal or a log: what is not printable becomes a visible escape."""

from __future__ import annotations


def visible(text: str, *, keep: str = "") -> str:
    """`text` with every unprintable character escaped as in Python, but for those in `keep`.

    Terminal escapes, C1 controls, bidi overrides and lone surrogates are attacks on whoever reads them raw.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def visible_json(document: str) -> str:
    """The same for a JSON document: its strings keep their meaning, line ends stay."""
    if document.isprintable():
        return document
    return "".join(char if char.isprintable() or char == "\n" else _json_escaped(char) for char in document)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _json_escaped(char: str) -> str:
    """RFC 8259, section 7: characters beyond 16 bits are two escapes."""
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
