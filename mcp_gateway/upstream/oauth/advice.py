"""What to run, for messages."""

from __future__ import annotations

import shlex


def to_log_in(server: str) -> str:
    """The command that logs in to a server, as a shell takes it."""
    return f"mcp-gateway login {shlex.quote(server)}"


def to_log_out(server: str) -> str:
    """The command that forgets the login of a server."""
    return f"mcp-gateway logout {shlex.quote(server)}"
