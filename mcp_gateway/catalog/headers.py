"""`x-mcp-header`: which arguments of a tool are repeated as HTTP headers.

A decoded input schema enters, a map from argument path to header name leaves. Rules:
specification 2026-07-28, basic/transports/streamable-http, custom headers (SEP-2243).
Encoding values is the dispatcher's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway.catalog.schemas import Path, Schema, positions
from mcp_gateway.catalog.text import printable

KEYWORD: Final = "x-mcp-header"
HEADER_PREFIX: Final = "Mcp-Param-"

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110, 5.6.2."""

_PRIMITIVES: Final = frozenset({"string", "integer", "number", "boolean"})
"""`number` is not in the specification's list, but the public conformance suite annotates numbers."""


class BadHeader(ValueError):
    """An annotation breaks a rule; the text says which."""


def header_params(schema: Any) -> Mapping[Path, str]:
    """Argument path -> full header name, for instance {("region",): "Mcp-Param-Region"}.

    Raises:
        BadHeader: at least one annotation is invalid; clients must then leave the tool out.
    """
    headers: dict[Path, str] = {}
    taken: set[str] = set()
    for path, inner in positions(schema):
        if KEYWORD not in inner:
            continue
        if not path:
            raise BadHeader("x-mcp-header stands where no argument is certain to be")
        token = _token(path, inner)
        if token.lower() in taken:
            raise BadHeader(f"argument {_dotted(path)}: another argument has the header {token} already")
        taken.add(token.lower())
        headers[path] = HEADER_PREFIX + token
    return headers


def _token(path: Path, schema: Schema) -> str:
    token = schema[KEYWORD]
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise BadHeader(f"argument {_dotted(path)}: x-mcp-header is not a header name")
    stated = schema.get("type")
    if not isinstance(stated, str) or stated not in _PRIMITIVES:
        raise BadHeader(f"argument {_dotted(path)}: x-mcp-header needs a primitive type")
    return token


def _dotted(path: Path) -> str:
    return printable(".".join(path))
