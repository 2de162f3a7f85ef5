"""One text of instructions from many servers.

Each server's cleaned text enters with its prefix, one text leaves: how names are
made, then a heading and a text per server. When it does not fit, the long texts are
cut and the short ones stay whole, so no server talks the others away.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mcp_gateway.catalog.rules import Prefix
from mcp_gateway.catalog.text import truncate

MAX_BYTES: Final = 2_000
"""Claude Code cuts instructions at 2 kB (its documentation, 2026-11)."""

_SMALLEST_BYTES: Final = 60
"""Less than this of a server's text helps nobody; servers without room are counted in the note."""

_NOTE_BYTES: Final = 60
"""Room for the closing note."""

_NAMING: Final = {
    Prefix.ALWAYS: "Tools and prompts are named SERVER__NAME.",
    Prefix.COLLISION: "Tools and prompts that several servers offer are named SERVER__NAME.",
    Prefix.NEVER: "",
}


def merge(texts: Sequence[tuple[str, str]], prefix: Prefix) -> str | None:
    """The merged text for (server prefix, its instructions) in order; None when nobody has any.

    With `prefix: never` a lone server's text passes whole, headings and cap left out.
    """
    given = [(f"\n\n## {name}\n", text.strip()) for name, text in texts if text.strip()]
    if not given:
        return None
    if prefix is Prefix.NEVER and len(given) == 1:
        return given[0][1]
    opening = _NAMING[prefix]
    whole = opening + "".join(heading + text for heading, text in given)
    if len(whole.encode()) <= MAX_BYTES:
        return whole.lstrip()
    return _shortened(opening, given).lstrip()


def _shortened(opening: str, given: list[tuple[str, str]]) -> str:
    room = MAX_BYTES - len(opening) - _NOTE_BYTES
    kept: list[tuple[str, str]] = []
    for heading, text in given:
        if room < len(heading.encode()) + _SMALLEST_BYTES * (len(kept) + 1):
            break
        room -= len(heading.encode())
        kept.append((heading, text))
    level = _level([len(text.encode()) for _, text in kept], room)
    body = "".join(heading + truncate(text, level) for heading, text in kept)
    return opening + body + _note(len(given) - len(kept))


def _note(left_out: int) -> str:
    others = f"; {left_out} more servers left out" if left_out else ""
    return f"\n\n(Shortened to 2 kB{others}.)"


def _level(sizes: list[int], room: int) -> int:
    """The cut that uses the room up: sizes below it stay whole."""
    level = room
    for done, size in enumerate(sorted(sizes)):
        level = room // (len(sizes) - done)
        if size > level:
            break
        room -= size
    return level
