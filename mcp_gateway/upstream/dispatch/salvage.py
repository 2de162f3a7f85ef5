"""The id of an answer that cannot be decoded, found by a bounded scan.

Bytes of a broken or oversized line enter, one of our request ids leaves, or None.
Only a few KiB at either end are looked at. Ids of ours are integers; an id inside
a nested value, or of a message that has a method, is none of ours.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD_BYTES = 4096
TAIL_BYTES = 256
"""SDKs write the id within the first bytes (Python) or as the last member (TypeScript). Our choice of bounds."""

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}\[\]:,"]|[^\s"{}\[\]:,]+', re.DOTALL)
_ID = re.compile(rb'"?(\d{1,18})"?')
_TAIL = re.compile(rb'[{,]\s*"id"\s*:\s*("?)(\d{1,18})\1\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*\]?\s*\Z')


class Scan(NamedTuple):
    """What the beginning of a line shows."""

    id: int | None
    is_request: bool


def salvage_id(line: bytes) -> int | None:
    """The id of the answer that `line` was meant to be."""
    scan = scan_head(line[:HEAD_BYTES])
    if scan.id is not None or scan.is_request:
        return scan.id
    return id_from_tail(line[-TAIL_BYTES:])


def scan_head(head: bytes) -> Scan:
    """Look for top-level `id` and `method` members; an array around the object is looked through."""
    level = 2 if head.lstrip()[:1] == b"[" else 1
    depth = 0
    id = None
    key = previous = b""
    for match in _TOKEN.finditer(head):
        token = match.group()
        if token == b'"':
            break  # a string that goes on beyond the window: what follows is its text
        if token in b"{[":
            depth += 1
            key = b""
        elif token in b"}]":
            depth -= 1
        elif depth == level and token == b":":
            key = previous
        elif depth == level and key:
            if key == b'"method"':
                return Scan(None, is_request=True)
            if key == b'"id"' and (number := _ID.fullmatch(token)):
                id = int(number.group(1))
            key = b""
        previous = token
    return Scan(id, is_request=False)


def id_from_tail(tail: bytes) -> int | None:
    """The id when it is the last member of the object that `tail` ends with."""
    match = _TAIL.search(tail)
    return int(match.group(2)) if match else None
