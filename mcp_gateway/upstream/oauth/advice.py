"""What to run, for messages."""

from __future__ import annotations

import shlex

from mcp_gateway.security.principal import LOCAL


def to_log_in(server: str, principal: str = LOCAL.id) -> str:
    """The command that logs a principal in to a server, as a shell takes it."""
    return f"mcp-gateway login {shlex.quote(server)}{_whose(principal)}"


def to_log_out(server: str, principal: str = LOCAL.id) -> str:
    """The command that forgets a principal's login to a server."""
    return f"mcp-gateway logout {shlex.quote(server)}{_whose(principal)}"


def _whose(principal: str) -> str:
    return "" if principal == LOCAL.id else f" --principal {shlex.quote(principal)}"
