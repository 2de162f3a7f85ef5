"""What a scope lets a caller do: the one check of every method, below all doors and revisions (R-AUTH-1).

What of the whole a caller sees is the other half, `Showcase.view`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from mcp_gateway.errors import Forbidden
from mcp_gateway.security.principal import EVERYTHING, Principal

SCOPE_OF_TOOL: Final[Mapping[str, str]] = {"ask": "ask", "execute": "execute"}
"""Built-in tools that have a scope of their own; without it they are neither listed nor found."""

_CALL: Final = "tools/call"


def needed_scope(method: str, tool: Any = None) -> str:
    """`read` looks, `call` acts; vendor methods may act, too."""
    if method == _CALL:
        return SCOPE_OF_TOOL.get(tool, "call") if isinstance(tool, str) else "call"
    return "read" if method in _READS else "call"


def check_scope(principal: Principal, method: str, tool: Any = None) -> None:
    """Raises Forbidden. Whether there is a tool of that name does not matter, so nothing is learnt of it."""
    require(principal, needed_scope(method, tool))


def allows(principal: Principal, method: str) -> bool:
    """Whether `check_scope` has nothing against it; of a handshake, against what it tells of servers."""
    return needed_scope(method) in principal.scopes


def check_admin(principal: Principal) -> None:
    """For what changes the gateway itself. Raises Forbidden."""
    require(principal, "admin")


def require(principal: Principal, scope: str) -> None:
    """Raises Forbidden."""
    if scope not in principal.scopes:
        raise Forbidden(f"{principal.id} may not do this: it needs the scope {scope!r}")


def check_whole(principal: Principal) -> None:
    """For what names every server. Raises Forbidden unless nothing is kept from the principal."""
    if not has_whole(principal):
        raise Forbidden(f"{principal.id} may not do this: it needs a key for all servers and tools")


def has_whole(principal: Principal) -> bool:
    """Whether no server, tool or profile limits the principal; what its listings show does not matter."""
    return replace(principal.grant, mode=None) == EVERYTHING


_READS: Final = frozenset(
    {
        "initialize",
        "server/discover",
        "subscriptions/listen",
        "tools/list",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/templates/list",
        "resources/read",
        "resources/subscribe",
        "resources/unsubscribe",
        "completion/complete",
        "logging/setLevel",
        "notifications/roots/list_changed",
    }
)
"""What the specifications name; a vendor's method may act, however it is called."""
