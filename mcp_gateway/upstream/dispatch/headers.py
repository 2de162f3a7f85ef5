"""Request headers: which are ours, and how the others are checked.

Mappings enter, encoded header lines leave. A client's headers never come here: what
goes out is ours, the upstream's configuration, and what the bridge adds for one call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mcp_gateway.errors import InvalidParams

OURS = frozenset(
    {
        "accept",
        "accept-encoding",
        "connection",
        "content-length",
        "content-type",
        "host",
        "last-event-id",
        "mcp-session-id",
        "transfer-encoding",
        "upgrade",
    }
)
"""Set by the dispatcher alone; the same names from elsewhere are left out."""

VERSION = "mcp-protocol-version"

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2: token
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5: field-value


def normal(server: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Lower-case names without ours, every field checked.

    Raises:
        InvalidParams: a name or value that cannot stand in a header, such as one with a line break.
    """
    checked: dict[str, str] = {}
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise InvalidParams(f"a header for upstream {server!r} holds characters that headers cannot", server=server)
        lowered = name.lower()
        if lowered not in OURS:
            checked[lowered] = value.strip()
    return checked


def lines(headers: Mapping[str, str]) -> bytes:
    """Encoded header lines, each with its line end."""
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
