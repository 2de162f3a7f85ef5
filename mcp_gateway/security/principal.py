"""Who is asking, once authentication has decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller. `id` is stable and safe to log; it is never the credential itself."""

    id: str
    scopes: frozenset[str] = field(default_factory=frozenset)


SCOPES: Final = frozenset({"read", "call", "ask", "execute", "admin"})

LOCAL: Final = Principal("local", SCOPES)
"""The person at this machine: stdio, the command line, and loopback while no key exists."""
