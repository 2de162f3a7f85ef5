"""Who is asking, once authentication has decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Grant:
    """The part of the whole that a caller is let at, as globs; `deny` wins over `allow`.

    Servers go by their configured names, tools by their offered ones. `profile` narrows further. `mode` is what
    listings show: `all`, `search` or `auto`, None for what everybody gets.
    """

    servers: tuple[str, ...] = ("*",)
    deny_servers: tuple[str, ...] = ()
    tools: tuple[str, ...] = ("*",)
    deny_tools: tuple[str, ...] = ()
    profile: str | None = None
    mode: str | None = None


EVERYTHING: Final = Grant()


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much a caller may ask for: calls a second, and calls under way at once. None: what everybody may."""

    rate_per_s: float | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """One caller. `id` is stable and safe to log; it is never the credential itself."""

    id: str
    scopes: frozenset[str] = field(default_factory=frozenset)
    grant: Grant = EVERYTHING
    allowance: Allowance = Allowance()


SCOPES: Final = frozenset({"read", "call", "ask", "execute", "admin"})

LOCAL: Final = Principal("local", SCOPES)
"""The person at this machine: stdio, the command line, and loopback while no key exists."""
