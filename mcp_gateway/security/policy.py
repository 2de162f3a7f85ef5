"""What a scope lets a caller do: the one check of every method, below all doors and revisions (R-AUTH-1).

What of the whole a caller sees is the other half, `Showcase.view`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_gateway.errors import Forbidden
from mcp_gateway.security.principal import Principal

SCOPE_OF_TOOL: Final[Mapping[str, str]] = {"ask": "ask", "execute": "execute"}
"""Built-in tools that have a scope of their own; without it they are neither listed nor found."""

_CALL: Final = "tools/call"


def needed_scope(method: str, tool: Any = None) -> str:
    """`read` looks, `call` acts; vendor methods may act, too."""
    if method == _CALL:
        return SCOPE_OF_TOOL.get(tool, "call") if isinstance(tool, str) else "call"
    return "read" if method in _READS or method.startswith(_READING) else "call"


def check_scope(principal: Principal, method: str, tool: Any = None) -> None:
    """Raises Forbidden. Whether there is a tool of that name does not matter, so nothing is learnt of it."""
    require(principal, needed_scope(method, tool))


def check_admin(principal: Principal) -> None:
    """For what changes the gateway itself. Raises Forbidden."""
    require(principal, "admin")


def require(principal: Principal, scope: str) -> None:
    """Raises Forbidden."""
    if scope not in principal.scopes:
        raise Forbidden(f"{principal.id} may not do this: it needs the scope {scope!r}")


_READING: Final = ("prompts/", "resources/")
_READS: Final = frozenset({"tools/list", "completion/complete", "logging/setLevel"})
