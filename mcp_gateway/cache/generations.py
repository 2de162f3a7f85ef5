"""Flush numbers: one per server, so that forgetting all of a server's entries is one assignment.

An entry carries the number its server had when the value was asked for; once the
server's number is higher, the entry is dead in every tier. Numbers are epoch
milliseconds or above, so those of several processes that share a file do not collide.
"""

from __future__ import annotations

import threading

from mcp_gateway.cache.base import Clock

EVERYTHING = "*"
"""The persisted name of the number that holds for all servers; no server is called so (names are slugged)."""


class Generations:
    """The current number of each server. Thread-safe.

    `numbers` and `floor` may be read without the lock: `numbers.get(server, floor)`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.numbers: dict[str, int] = {}
        self.floor = 0

    def current(self, server: str) -> int:
        return self.numbers.get(server, self.floor)

    def bump(self, server: str | None) -> int:
        """Make every entry of the server (None: of all) dead; returns the new number."""
        with self._lock:
            number = max(int(self._clock() * 1000), self.floor + 1, *(n + 1 for n in self.numbers.values()))
            self._set(server, number)
            return number

    def adopt(self, server: str | None, number: int) -> None:
        """Take over a number that another process, or an earlier one, has set."""
        with self._lock:
            if number > (self.floor if server is None else self.current(server)):
                self._set(server, number)

    def _set(self, server: str | None, number: int) -> None:
        if server is not None:
            self.numbers[server] = number
            return
        self.floor = number
        self.numbers = {name: other for name, other in self.numbers.items() if other > number}
