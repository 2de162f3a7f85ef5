"""A client's message as it arrived, kept beside the SDK's reading of it until the call is made.

What the gateway itself reads of a request's params is plain; everything else stays
the bytes that came, so upstreams get them unrespelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Scope

from mcp_gateway.downstream.door import STDIO, marked
from mcp_gateway.wire import RawParams, fields

_KEY: Final = "mcp_gateway.message"

READ: Final = frozenset({"name", "uri", "cursor", "level"})
"""Params that lead a call to its end; the gateway reads them, and where it must rewrites them."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a message on standard input has in place of an HTTP request."""

    scope: Scope
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: bytes) -> Line:
        return cls(keep(marked({"type": STDIO}, STDIO), raw))


def keep(scope: Scope, raw: bytes) -> Scope:
    """The scope, with the message on it."""
    scope[_KEY] = raw
    return scope


def params_of(scope: Scope, plain: Mapping[str, Any]) -> RawParams:
    """The params as they came where the scope has the message; `plain` is the SDK's reading of them."""
    raw = scope.get(_KEY)
    if raw is None or not plain:
        return dict(plain)
    came = fields(fields(raw)["params"])
    return {
        name: plain[name] if name in READ else _meta(value) if name == "_meta" else value
        for name, value in came.items()
    }


def _meta(raw: Any) -> Any:
    """One level deep: parts of it are the gateway's, and the rest is passed on."""
    return fields(raw) if bytes(raw).lstrip().startswith(b"{") else None
