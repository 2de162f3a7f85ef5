"""What a cache is: exact bytes by key, with an age.

Bytes enter under a key and leave unchanged, or not at all. A cache never fails
a call: whatever goes wrong inside is a miss. Nothing here knows what the bytes mean.

A back end of one's own subclasses `Cache` with `get` and `set`, and is named in
the configuration by dotted path (`package.module:Class`).
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from anyio import to_thread

DEFAULT_TTL_S = 300.0
"""The greatest age `get` accepts when the caller names none (`cache.ttl` of the configuration)."""

KEEP_S = 30 * 86400.0
"""How long a plain `set` keeps a value; the reader decides how old is too old. Our choice."""

Clock = Callable[[], float]
"""Epoch seconds."""


def steady_clock() -> Clock:
    """Epoch seconds that never jump while the process lives, but do count the time a machine sleeps.

    Setting the wall clock must not revive or kill entries, and a laptop that wakes
    after a night must not serve yesterday's answers: hence the boot-time clock.
    """
    source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    read = time.clock_gettime
    start_at = time.time() - read(source)
    return lambda: start_at + read(source)


@dataclass(frozen=True, slots=True)
class Entry:
    """One kept value. Moments are epoch seconds; between `fresh_until` and `expires_at` it is stale but usable.

    `server` tags the entry with the upstream it came from, `generation` is that
    server's flush number when the value was asked for.
    """

    value: bytes
    stored_at: float
    fresh_until: float
    expires_at: float
    server: str = ""
    generation: int = 0

    def pack(self) -> bytes:
        """The entry as bytes, for back ends that only know `get` and `set`."""
        head = [self.stored_at, self.fresh_until, self.expires_at, self.server, self.generation]
        return json.dumps(head).encode() + b"\n" + self.value

    @classmethod
    def unpack(cls, packed: bytes) -> Entry:
        """Raises ValueError when the bytes are not a packed entry."""
        head, _, value = packed.partition(b"\n")
        try:
            stored_at, fresh_until, expires_at, server, generation = json.loads(head)
            return cls(value, float(stored_at), float(fresh_until), float(expires_at), str(server), int(generation))
        except (TypeError, RecursionError) as wrong:
            raise ValueError("not a packed entry") from wrong


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Counters since the process started; entries and bytes are of now. `tiers` by name, where there are several."""

    entries: int = 0
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    stale: int = 0
    evicted: int = 0
    dropped: int = 0
    state: str = "ok"
    tiers: Mapping[str, CacheStats] = field(default_factory=dict)


class Cache(ABC):
    """Synchronous and thread-safe; `get` and `set` raise nothing on account of the storage."""

    @abstractmethod
    def get(self, key: str, ttl: float | None = None) -> bytes | None:
        """The value, unless it is missing or older than `ttl` seconds (None: the cache's default)."""

    @abstractmethod
    def set(self, key: str, value: bytes, persist: bool = True) -> None:
        """Keep a value. With `persist` false it does not outlive the process."""

    def lookup(self, key: str) -> Entry | None:
        """The whole entry, stale ones included. May block as long as `get` does."""
        packed = self.get(key, KEEP_S)
        return None if packed is None else Entry.unpack(packed)

    def store(self, key: str, entry: Entry, persist: bool = True) -> None:
        """Keep a whole entry. Called on the event loop: it must not block."""
        self.set(key, entry.pack(), persist)

    async def fetch(self, key: str) -> Entry | None:
        """`lookup` for the event loop; a back end that blocks is asked in a worker thread."""
        return await to_thread.run_sync(self.lookup, key, abandon_on_cancel=True)

    def flush(self, server: str | None, generation: int) -> None:  # noqa: B027 - optional: most back ends need nothing
        """Entries of the server (None: all) below this generation are dead. Called on the event loop."""

    def clear(self, server: str | None = None, older_than_s: float | None = None) -> int:
        """Remove matching entries, or see to it that they go; returns how many are gone already."""
        return 0

    def stats(self) -> CacheStats:
        return CacheStats()

    def close(self) -> None:  # noqa: B027 - optional: not every back end holds something
        """Let go of files and threads; the cache is not used afterwards."""


class EntryCache(Cache):
    """A cache that keeps whole entries: subclasses give `lookup` and `store`."""

    def __init__(self, *, ttl_s: float = DEFAULT_TTL_S, clock: Clock | None = None) -> None:
        self.ttl_s = ttl_s
        self.clock = clock or steady_clock()

    def get(self, key: str, ttl: float | None = None) -> bytes | None:
        return self.young(self.lookup(key), ttl)

    def young(self, entry: Entry | None, ttl: float | None) -> bytes | None:
        """The entry's value, unless it is stale or older than `ttl` seconds (None: the cache's default)."""
        if entry is None:
            return None
        now = self.clock()
        oldest_s = self.ttl_s if ttl is None else ttl
        return entry.value if now < entry.fresh_until and now - entry.stored_at <= oldest_s else None

    def set(self, key: str, value: bytes, persist: bool = True) -> None:
        now = self.clock()
        self.store(key, Entry(value, now, now + KEEP_S, now + KEEP_S), persist)

    @abstractmethod
    def lookup(self, key: str) -> Entry | None: ...

    @abstractmethod
    def store(self, key: str, entry: Entry, persist: bool = True) -> None: ...
