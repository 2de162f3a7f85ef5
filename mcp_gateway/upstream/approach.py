"""Which way an upstream is tried next: over which wire, and with which handshake.

The outcome of each attempt enters, the next dispatcher and era leave. Nothing is
waited for, and what happens after the handshake is of no interest here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from mcp_gateway.errors import GatewayError, UpstreamDisconnected, UpstreamProtocolError, UpstreamTimeout
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener
from mcp_gateway.upstream.session import Era, HandshakeRefused, ProbeFatal, Session

NOT_STREAMABLE_HTTP = frozenset({400, 404, 405})
"""Statuses of a refused `initialize` that mean: try HTTP+SSE (2025-11-25, basic/transports)."""

_VERDICT_FAILED = (HandshakeRefused, UpstreamProtocolError, UpstreamDisconnected, UpstreamTimeout)
"""Failures that may come from a wrong verdict. An outage or refused credentials say nothing of eras (facts, 2)."""


class EraMemory(Protocol):
    """Remembers which era an upstream turned out to speak."""

    def recall(self) -> Era: ...

    def remember(self, era: Era) -> None: ...


class _Way(StrEnum):
    CONFIGURED = "configured"
    FORGOTTEN = "configured, the remembered era forgotten"
    UNPROBED = "legacy without a probe"
    FALLBACK = "HTTP+SSE"


class Approach:
    """The next attempt's wire and era.

    A detour that failed is left again: what looked like a server without Streamable HTTP, or one
    that dies when probed, may have been a moment's fault.
    """

    def __init__(self, definition: Definition, memory: EraMemory) -> None:
        self._definition = definition
        self._memory = memory
        self._way = _Way.CONFIGURED
        self._taken: set[_Way] = set()
        self._agreed = False

    def dial(self, listener: Listener) -> Dispatcher:
        """A fresh dispatcher for the next attempt."""
        self._agreed = False
        fallback = self._definition.fallback
        if self._way is _Way.FALLBACK and fallback is not None:
            return fallback(listener)
        return self._definition.dial(listener)

    @property
    def era(self) -> Era:
        """1. HTTP+SSE is legacy only; 2. fixed in the file; 3. no probe after one that was fatal; 4. as remembered."""
        if self._way is _Way.FALLBACK:
            return Era.LEGACY
        if self._definition.rules.era is not Era.AUTO:
            return self._definition.rules.era
        if self._way is _Way.UNPROBED:
            return Era.LEGACY
        return self._memory.recall()

    def agreed(self, session: Session) -> None:
        """The handshake worked."""
        self._agreed = True
        self._taken.clear()
        if self._way is not _Way.FALLBACK:
            self._way = _Way.CONFIGURED
            if self._definition.rules.era is Era.AUTO:
                self._memory.remember(session.era)

    def failed(self, failure: GatewayError) -> bool:
        """The attempt failed. True when there is another way that deserves a try at once.

        Each way gets that once until a handshake works: a broken upstream must not cost twice the attempts.
        """
        if self._agreed:
            return False
        self._way = self._way_after(failure)
        first = self._way is not _Way.CONFIGURED and self._way not in self._taken
        self._taken.add(self._way)
        return first

    def _way_after(self, failure: GatewayError) -> _Way:
        if isinstance(failure, ProbeFatal):
            return _Way.UNPROBED
        if self._is_worth_falling_back(failure):
            return _Way.FALLBACK
        remembered = self._definition.rules.era is Era.AUTO and self._memory.recall() is not Era.AUTO
        if remembered and isinstance(failure, _VERDICT_FAILED):
            self._memory.remember(Era.AUTO)
            return _Way.FORGOTTEN
        return _Way.CONFIGURED

    def _is_worth_falling_back(self, failure: GatewayError) -> bool:
        if self._definition.fallback is None or self._way is _Way.FALLBACK:
            return False
        return isinstance(failure, UpstreamProtocolError) and failure.status in NOT_STREAMABLE_HTTP
