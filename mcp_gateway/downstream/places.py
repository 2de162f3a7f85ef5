"""How many sessions are open at once, over all doors, and whether one more may be.

Doors tell when a session is about to be opened, is open, and has ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mcp_gateway.errors import Busy


class Places:
    """The places of sessions; `limit` of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for as long as the block runs. Raises Busy when none is free."""
        if self.taken >= self.limit:
            message = f"{self.limit} sessions are open, which is all there may be (limits.max_sessions)"
            raise Busy(f"{message}; try again later, or use protocol revision 2026-07-28, which has no sessions")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    def enter(self) -> None:
        """A session is open: one that a place was found for, or the one of the process's own pipes."""
        self.taken += 1

    def leave(self) -> None:
        self.taken -= 1
