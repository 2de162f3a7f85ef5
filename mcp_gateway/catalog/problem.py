"""What is wrong with an offer, told to people: the catalog never loses anything silently.

Checks and merging create problems; the command line, REST and the dashboard show
them. Nothing here decides what happens to the definition concerned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Why a definition was left out, changed or deserves a look."""

    BAD_ENTRY = "bad_entry"
    """Left out: not an object, or not valid JSON."""
    BAD_NAME = "bad_name"
    """Left out: the name or URI is missing, blank, or holds characters nobody can see."""
    BAD_FIELD = "bad_field"
    """A field has the wrong type; the field, or the whole definition, was left out."""
    BAD_SCHEMA = "bad_schema"
    """Left out: the input schema is missing or does not describe an object."""
    DUPLICATE = "duplicate"
    """Left out: the same server already offers this name."""
    TOO_MANY = "too_many"
    """Left out: the server offers more than the cap."""
    SCHEMA_TOO_LARGE = "schema_too_large"
    """A schema is above the cap; an input schema takes its tool with it."""
    TRUNCATED = "truncated"
    """A text was cut at the cap."""
    HIDDEN_TEXT = "hidden_text"
    """Invisible or terminal control characters were stripped, or found where they have to stay."""
    NAMES_SIBLING = "names_sibling"
    """A description mentions another server's tool: it may try to steer the model."""
    SUSPICIOUS_TEXT = "suspicious_text"
    """The wording is that of poisoned definitions; offered all the same, somebody should read it."""
    NAME_COLLISION = "name_collision"
    """Two definitions want one exposed name; the later one was renamed or left out."""
    URI_COLLISION = "uri_collision"
    """Two servers offer one URI; the later one's was rewritten."""
    SCHEMA_REWRITTEN = "schema_rewritten"
    """`schema_compat: safe` changed or dropped a schema that hosts refuse."""
    WITHHELD = "withheld"
    """Not offered: the definition is not the one that was approved or first seen (`trust`)."""
    BAD_HEADER = "bad_header"
    """An invalid `x-mcp-header`; the tool is not listed to 2026-07-28 clients."""
    NO_SUCH_TOOL = "no_such_tool"
    """The configuration names a tool in full that the server does not offer."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `name` is the upstream's own, made printable; None when it concerns the whole server."""

    code: Code
    server: str | None
    name: str | None
    text: str
