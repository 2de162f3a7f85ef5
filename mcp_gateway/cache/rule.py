"""How the answers of one route are kept: plain values, made where the configuration is known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Use(StrEnum):
    """What a call has to do with its server's kept answers."""

    KEEP = "keep"
    """Its answer may be kept."""
    PASS = "pass"  # noqa: S105 - a word, no credential
    """Nothing: it reads, and is not to be kept."""
    WRITE = "write"
    """It may change what the server would answer."""


class Scope(StrEnum):
    """Who shares an answer."""

    PUBLIC = "public"
    PRINCIPAL = "principal"
    SESSION = "session"
    """One legacy session, or nobody: for servers with a connection per session."""


@dataclass(frozen=True, slots=True)
class CacheRule:
    """How the answers of one route are kept.

    `ttl_s` None: as long as the answer itself says (`ttlMs`), or not at all. For `stale_s` after that
    the old answer is still given while a new one is fetched. `definition` is a digest of the tool's
    definition; `credential` names, without revealing, the credential that the upstream call carries.
    """

    use: Use
    server: str
    ttl_s: float | None = None
    stale_s: float = 0.0
    definition: str = ""
    credential: str = ""
    scope: Scope = Scope.PRINCIPAL
