"""How often something may happen: so much at once, and so much a second on."""

from __future__ import annotations

import time
from collections.abc import Callable


class Bucket:
    """A token bucket, full at first. `per_s` is what flows in, `burst` what it holds."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at_s = clock()

    def take(self) -> bool:
        """Whether it may happen now; if so, it counts."""
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
