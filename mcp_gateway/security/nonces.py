"""What was seen already: the nonces of signed requests, for as long as their signatures are good.

A key's id and a nonce enter; whether it is new leaves. Nonces are of the process: others do not know them.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from mcp_gateway.errors import RateLimited

MAX_NONCES: Final = 50_000
"""Held for each key, in about 9 MB: 80 requests a second for as long as they are held (our choice)."""


class Nonces:
    """Those of the last `life_s` seconds, apart for each key, so that one key cannot push out another's.

    Nothing is forgotten early: a key whose store is full waits until its oldest ends. `monotonic` gives seconds.
    """

    def __init__(
        self, life_s: float, per_key: int = MAX_NONCES, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._life_s = life_s
        self._per_key = per_key
        self._monotonic = monotonic
        self._seen: dict[str, OrderedDict[bytes, float]] = {}
        self._swept_at = monotonic()

    def __len__(self) -> int:
        return sum(map(len, self._seen.values()))

    def admit(self, key_id: str, nonce: str) -> bool:
        """Remember a nonce; False when it was used before. Raises RateLimited when there is no room for a new one."""
        now = self._monotonic()
        if now - self._swept_at >= self._life_s:
            self._sweep(now)
        seen = self._seen.setdefault(key_id, OrderedDict())
        _forget(seen, now)
        digest = hashlib.sha256(nonce.encode()).digest()[:16]
        if digest in seen:
            return False
        if len(seen) >= self._per_key:
            raise _full(next(iter(seen.values())) - now)
        seen[digest] = now + self._life_s
        return True

    def _sweep(self, now: float) -> None:
        """Empties the stores of keys that are no longer used."""
        for seen in self._seen.values():
            _forget(seen, now)
        self._seen = {key_id: seen for key_id, seen in self._seen.items() if seen}
        self._swept_at = now


def _forget(seen: OrderedDict[bytes, float], now: float) -> None:
    """Drops what has ended; entries are in the order of their ends, because all live equally long."""
    while seen and next(iter(seen.values())) <= now:
        seen.popitem(last=False)


def _full(wait_s: float) -> RateLimited:
    error = RateLimited("more signed requests of this key than are remembered at once; send fewer a second")
    error.retry_after_s = wait_s
    return error
