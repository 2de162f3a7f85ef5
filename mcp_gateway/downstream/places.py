"""How many sessions are open at once, over all doors, and whether one more may be.

Doors tell when a session is about to be opened, is open, and has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from mcp_gateway.errors import Busy
from mcp_gateway.security.principal import LOCAL, Principal

LEAST_SHARE: Final = 64
"""Sessions that one principal may have open however few there may be in all (our choice)."""

SHARE: Final = 4
"""One principal gets this part of all places, one in so many (our choice)."""


class Places:
    """The places of sessions; `limit` of them, `share` for each principal but the local person."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.share = max(LEAST_SHARE, limit // SHARE)
        self.taken = 0
        self._of: Counter[str] = Counter()

    @contextmanager
    def place(self, principal: Principal) -> Iterator[None]:
        """A place for as long as the block runs. Raises Busy when none is free, or none for this principal."""
        if self.taken >= self.limit:
            message = f"{self.limit} sessions are open, which is all there may be (limits.max_sessions)"
            raise Busy(f"{message}; try again later, or use protocol revision 2026-07-28, which has no sessions")
        if principal.id != LOCAL.id and self._of[principal.id] >= self.share:
            message = f"{self.share} sessions of this caller are open, which is all that one may have"
            raise Busy(f"{message} (a quarter of limits.max_sessions, or {LEAST_SHARE}); close one, or try again later")
        self.enter(principal)
        try:
            yield
        finally:
            self.leave(principal)

    def enter(self, principal: Principal) -> None:
        """A session is open: one that a place was found for, or the one of the process's own pipes."""
        self.taken += 1
        self._of[principal.id] += 1

    def leave(self, principal: Principal) -> None:
        self.taken -= 1
        self._of[principal.id] -= 1
        if not self._of[principal.id]:
            del self._of[principal.id]
