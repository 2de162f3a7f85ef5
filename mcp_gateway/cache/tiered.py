"""Memory in front of something slower.

A look-up in memory is immediate; `fetch` asks the second tier and keeps what it finds
in memory. A second tier that fails is a second tier that has nothing. Flushing a
server is one number, whatever the tiers hold.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from mcp_gateway.cache.base import DEFAULT_TTL_S, Cache, CacheStats, Clock, Entry, EntryCache, steady_clock
from mcp_gateway.cache.generations import Generations
from mcp_gateway.cache.memory import MAX_BYTES, MAX_ENTRIES, MemoryCache
from mcp_gateway.cache.sqlite import MAX_BYTES as MAX_DISK_BYTES
from mcp_gateway.cache.sqlite import SqliteCache

logger = logging.getLogger(__name__)


class TieredCache(EntryCache):
    """Owns its tiers: `close` closes both.

    `generations` must be the one that the memory (and SQLite) tier was given.
    """

    def __init__(self, memory: MemoryCache, second: Cache | None, generations: Generations) -> None:
        super().__init__(ttl_s=memory.ttl_s, clock=memory.clock)
        self._memory = memory
        self._second = second
        self._generations = generations
        self._has_complained = False
        self._promoted = 0

    def get(self, key: str, ttl: float | None = None) -> bytes | None:
        """As `Cache.get`; blocks on the second tier when memory has nothing."""
        value = self._memory.get(key, ttl)
        if value is not None or self._second is None:
            return value
        found = None
        with self._forgiven():
            found = self._second.lookup(key)
        return self.young(self._promote(key, found), ttl)

    def lookup(self, key: str) -> Entry | None:
        """Memory only: immediate."""
        return self._memory.lookup(key)

    async def fetch(self, key: str) -> Entry | None:
        """The second tier only; what it has is in memory afterwards."""
        if self._second is None:
            return None
        found = None
        with self._forgiven():
            found = await self._second.fetch(key)
        return self._promote(key, found)

    def store(self, key: str, entry: Entry, persist: bool = True) -> None:
        """Keep an entry, unless its server was flushed since the value was asked for."""
        if entry.generation < self._generations.current(entry.server):
            return
        self._memory.store(key, entry)
        if self._second is not None and persist:
            with self._forgiven():
                self._second.store(key, entry)

    def generation(self, server: str) -> int:
        """To be read before a value is asked for, and put into its entry."""
        return self._generations.current(server)

    def flush(self, server: str | None, generation: int | None = None) -> None:
        """Forget all entries of a server (None: of all servers), also those being asked for now."""
        if generation is None:
            generation = self._generations.bump(server)
        else:
            self._generations.adopt(server, generation)
        if self._second is not None:
            with self._forgiven():
                self._second.flush(server, generation)

    def clear(self, server: str | None = None, older_than_s: float | None = None) -> int:
        """Remove entries; returns how many memory held. The second tier's go behind the caller's back."""
        if older_than_s is None:
            self.flush(server)
        gone = self._memory.clear(server, older_than_s)
        if self._second is not None:
            with self._forgiven():
                self._second.clear(server, older_than_s)
        return gone

    def stats(self) -> CacheStats:
        """Hits and misses of the whole, each tier's own below; entries and bytes are memory's."""
        memory = self._memory.stats()
        if self._second is None:
            return replace(memory, tiers={"memory": memory})
        second = self._second.stats()
        return replace(
            memory,
            hits=memory.hits + self._promoted,
            misses=max(memory.misses - self._promoted, 0),
            dropped=second.dropped,
            tiers={"memory": memory, "disk": second},
        )

    def close(self) -> None:
        self._memory.close()
        if self._second is not None:
            self._second.close()

    def _promote(self, key: str, entry: Entry | None) -> Entry | None:
        if entry is None or self.clock() >= entry.expires_at:
            return None
        if entry.generation < self._generations.current(entry.server):
            return None
        self._promoted += 1
        self._memory.store(key, entry)
        return entry

    @contextmanager
    def _forgiven(self) -> Iterator[None]:
        try:
            yield
        except Exception:  # boundary: a back end of somebody else's must not fail a call
            if not self._has_complained:
                self._has_complained = True
                logger.exception("cache.back_end_failed back_end=%s", type(self._second).__name__)


def open_cache(
    *,
    path: Path | None,
    max_entries: int = MAX_ENTRIES,
    max_bytes: int = MAX_BYTES,
    max_disk_bytes: int = MAX_DISK_BYTES,
    ttl_s: float = DEFAULT_TTL_S,
    clock: Clock | None = None,
    second: Cache | None = None,
) -> TieredCache:
    """Memory over `second`, else over a file; memory alone when `path` is None too. Opens nothing yet."""
    clock = clock or steady_clock()
    generations = Generations(clock)
    memory = MemoryCache(
        max_entries=max_entries, max_bytes=max_bytes, ttl_s=ttl_s, clock=clock, generations=generations
    )
    if second is not None or path is None:
        return TieredCache(memory, second, generations)
    disk = SqliteCache(path, max_bytes=max_disk_bytes, ttl_s=ttl_s, clock=clock, generations=generations)
    return TieredCache(memory, disk, generations)
