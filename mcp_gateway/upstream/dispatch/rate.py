"""A cap on events per second. Readings of a clock enter, yes or no leaves."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateGate:
    """Lets at most `per_s` events pass in each second of its own; the first event opens the first second."""

    def __init__(self, per_s: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._clock = clock
        self._began_monotonic_s = float("-inf")
        self._passed = 0

    def allows(self) -> bool:
        now_monotonic_s = self._clock()
        if now_monotonic_s - self._began_monotonic_s >= 1.0:
            self._began_monotonic_s = now_monotonic_s
            self._passed = 0
        if self._passed >= self._per_s:
            return False
        self._passed += 1
        return True
