"""One configured upstream in the terms of this room: how to dial it, how to keep it.

Filled by `define` from the configuration; equal definitions need no restart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mcp_gateway.catalog.vetting import DEFAULT_CAPS, Caps
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener
from mcp_gateway.upstream.lifecycle import RestartPolicy
from mcp_gateway.upstream.session import Era

Dial = Callable[[Listener], Dispatcher]
"""Makes a fresh dispatcher; the listener hears what belongs to no call."""

Ways = tuple[Dial, Dial | None]
"""How to dial, and a second way for a server that only speaks HTTP+SSE."""


class Isolation(StrEnum):
    """Who shares a connection (design, decision 6)."""

    SHARED = "shared"
    SESSION = "session"
    USER = "user"


@dataclass(frozen=True, slots=True)
class AgentRules:
    """How one upstream is kept; durations in seconds."""

    timeout_s: float = 60.0
    tool_timeouts_s: Mapping[str, float] = field(default_factory=dict)
    startup_timeout_s: float = 30.0
    timeout_resets_on_progress: bool = False
    era: Era = Era.AUTO
    lazy: bool = False
    idle_stop_s: float | None = None
    restart: RestartPolicy = field(default_factory=RestartPolicy)
    concurrency: int = 256
    queue: int = 1024
    reads_offer: bool = True
    caps: Caps = DEFAULT_CAPS
    redact: Callable[[str], str] = str
    """Takes secrets out of what a failure says: an upstream may quote the token it refuses."""

    def limit_s(self, tool: str = "", wish_s: float | None = None) -> float:
        """The deadline of one call; a caller's wish can only shorten it."""
        limit_s = self.tool_timeouts_s.get(tool, self.timeout_s)
        return limit_s if wish_s is None else min(limit_s, wish_s)


@dataclass(frozen=True, slots=True)
class Definition:
    """One upstream as configured.

    `fingerprint` covers what decides era and offer: while it is the same, a saved offer is still
    good. `settings` covers all that a connection is made and kept by: while it is the same, nothing
    needs a restart. `fallback` is a second way to dial, for a server that only speaks HTTP+SSE.
    `disabled` says why the upstream is not to be started, None when it is. `transport` is stdio,
    http or sse. `connection` is what the users of an own connection have in common, None for the one
    that everybody shares. `personal` gives the ways to dial with the login of one principal,
    by its id; None where all use the same credential.
    """

    name: str
    transport: str
    fingerprint: str
    settings: str
    rules: AgentRules
    dial: Dial
    fallback: Dial | None = None
    isolation: Isolation = Isolation.SHARED
    disabled: str | None = None
    connection: str | None = None
    personal: Callable[[str], Ways] | None = None
