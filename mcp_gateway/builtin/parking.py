"""Asks that wait for a person, between two requests of the same caller (2026-07-28, basic/patterns/mrtr).

A state enters under an id that nobody can guess and leaves once, to the one it belongs to. It never leaves the
process: what goes out is the id.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")

KEEP_S: Final = 600.0
"""How long a person may take (protocol facts, 4.1)."""

PLACES: Final = 64
"""States kept; the oldest goes when one more comes (our choice)."""


@dataclass(frozen=True, slots=True)
class _Parked(Generic[T]):
    owner: str
    state: T
    until_monotonic_s: float


class Parking(Generic[T]):
    """For one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._places: OrderedDict[str, _Parked[T]] = OrderedDict()

    def park(self, owner: str, state: T) -> str:
        """Keep a state; the id to take it back with."""
        while len(self._places) >= PLACES:
            self._places.popitem(last=False)
        id = secrets.token_urlsafe(24)
        self._places[id] = _Parked(owner, state, self._clock() + KEEP_S)
        return id

    def take(self, id: str, owner: str) -> T | None:
        """The state, once; None when there is none, or it is too old, or somebody else's."""
        parked = self._places.get(id)
        if parked is None or parked.owner != owner:
            return None
        del self._places[id]
        return parked.state if self._clock() < parked.until_monotonic_s else None
