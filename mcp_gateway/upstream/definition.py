"""One configured upstream in the terms of this room: how to dial it, how to keep it.

Filled by the composition root from the configuration; equal definitions need no restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mcp_gateway.upstream.agent import AgentRules, Dial


class Isolation(StrEnum):
    """Who shares a connection (design, decision 6)."""

    SHARED = "shared"
    SESSION = "session"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Definition:
    """One upstream as configured.

    `fingerprint` covers what decides era and offer: while it is the same, a saved offer is still
    good. `settings` covers the whole entry: while it is the same, nothing needs a restart. `disabled`
    says why the upstream is not to be started, None when it is. `transport` is stdio, http or sse.
    """

    name: str
    transport: str
    fingerprint: str
    settings: str
    rules: AgentRules
    dial: Dial | None
    fallback: Dial | None = None
    isolation: Isolation = Isolation.SHARED
    disabled: str | None = None
