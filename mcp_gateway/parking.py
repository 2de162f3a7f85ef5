"""What waits for a person between two requests of the same caller (2026-07-28, basic/patterns/mrtr).

A state enters and leaves once, to the caller and the request it belongs to. It never leaves the process: what goes
out as `requestState` is a sealed text that leads back to it. What the states are is the business of those who park.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Generic, TypeVar

from mcp_gateway.cache.key import canonical
from mcp_gateway.errors import InvalidRequestState
from mcp_gateway.security.sealing import Seal
from mcp_gateway.wire import Malformed, Raw, encode, loads

T = TypeVar("T")

KEEP_S: Final = 600.0
"""How long a person may take (protocol facts, 4.1)."""

PLACES: Final = 64
"""States kept, unless it is said otherwise (our choice)."""


@dataclass(frozen=True, slots=True)
class _Parked(Generic[T]):
    owner: str
    state: T
    until_monotonic_s: float


class Parking(Generic[T]):
    """For one event loop. `places` in all, `of_owner` of them for one owner; `keep_s` is for what is parked next."""

    def __init__(
        self,
        *,
        places: int = PLACES,
        of_owner: int = PLACES,
        keep_s: float = KEEP_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.keep_s = keep_s
        self._max = places
        self._max_of_owner = of_owner
        self._clock = clock
        self._seal = Seal()
        self._places: OrderedDict[str, _Parked[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._places)

    def has_room(self, owner: str) -> bool:
        """Whether the owner can park without anything having to go."""
        self.sweep()
        return len(self._places) < self._max and len(self._of(owner)) < self._max_of_owner

    def park(self, owner: str, subject: bytes, state: T) -> str:
        """Keep a state; the text to take it back with. Without room the owner's oldest goes, else the oldest of all."""
        while not self.has_room(owner):
            own = self._of(owner)
            del self._places[own[0] if len(own) >= self._max_of_owner else next(iter(self._places))]
        id = secrets.token_urlsafe(16)
        self._places[id] = _Parked(owner, state, self._clock() + self.keep_s)
        return self._seal.close(id.encode(), _bound(owner, subject))

    def take(self, text: object, owner: str, subject: bytes) -> T:
        """The state, once.

        Raises InvalidRequestState, which never says why: nothing was sealed here, or for somebody else, or for another
        request; it was taken before; it is too old.
        """
        id = self._seal.open(text, _bound(owner, subject)) if isinstance(text, str) else None
        parked = None if id is None else self._places.pop(id.decode(), None)
        if parked is None or self._clock() >= parked.until_monotonic_s:
            raise InvalidRequestState
        return parked.state

    def sweep(self) -> None:
        """Let go of what is too old."""
        now_s = self._clock()
        for id in [id for id, parked in self._places.items() if now_s >= parked.until_monotonic_s]:
            del self._places[id]

    def _of(self, owner: str) -> list[str]:
        return [id for id, parked in self._places.items() if parked.owner == owner]


def subject_of(method: str, target: tuple[str | None, ...], arguments: Any) -> bytes:
    """What a state belongs to besides its owner: a digest of the request, however its arguments are spelled."""
    return sha256(encode([method, target, canonical(arguments)])).digest()


def state_of(params: dict[str, Any]) -> Any:
    """The `requestState` of a request, None where there is none."""
    state = params.get("requestState")
    try:
        return loads(state) if isinstance(state, Raw) else state
    except Malformed:
        return ""


def _bound(owner: str, subject: bytes) -> bytes:
    return encode([owner, subject])
