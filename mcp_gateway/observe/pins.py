"""What operators see of withheld definitions: plain data for REST and the command line.

The book of pins enters, readable differences leave, with everything unprintable escaped:
what hides in a definition is what whoever reads the difference has to see.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import unified_diff
from typing import Any, Final

from mcp_gateway.observe.text import visible
from mcp_gateway.security.pins import Book, Record, Seen, changed_fields

CONTEXT_LINES: Final = 2

BEYOND_THE_CAP: Final = "what differs was beyond the cap (security.max_description, max_schema) and is not passed on"


def withheld(book: Book, server: str | None = None) -> list[dict[str, Any]]:
    """Every withheld tool, or those of one server, with what changed."""
    return [
        _told(name, tool, record, record.withheld)
        for name, records in book.items()
        if server in (None, name)
        for tool, record in records.items()
        if record.withheld is not None
    ]


def _told(server: str, tool: str, record: Record, offered: Seen) -> dict[str, Any]:
    old = {} if record.pinned is None else record.pinned.decoded()
    fields = changed_fields(old, new := offered.decoded())
    lines = [line for field in fields for line in _difference(field, old.get(field), new.get(field))]
    return {
        "server": server,
        "tool": tool,
        "state": "new" if record.pinned is None else "changed",
        "pinned": None if record.pinned is None else record.pinned.digest,
        "offered": offered.digest,
        "since": datetime.fromtimestamp(offered.at, UTC).isoformat(timespec="seconds"),
        "fields": list(fields),
        "diff": visible("\n".join(lines) if lines else BEYOND_THE_CAP, keep="\n\t"),
    }


def _difference(field: str, old: Any, new: Any) -> Iterator[str]:
    pinned, offered = f"pinned {field}", f"offered {field}"
    return unified_diff(_lines(old), _lines(new), pinned, offered, lineterm="", n=CONTEXT_LINES)


def _lines(value: Any) -> list[str]:
    """Prose line by line, anything else as indented JSON; what is not there has no lines."""
    if value is None:
        return []
    if isinstance(value, str):
        return value.split("\n")
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).split("\n")
