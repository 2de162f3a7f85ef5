"""Entries that wait to be written: bounded in number and bytes, the oldest goes when there are more.

Not thread-safe; its owner holds a lock.
"""

from __future__ import annotations

from collections import OrderedDict

from mcp_gateway.cache.base import Entry

MAX_ENTRIES = 1024
MAX_BYTES = 32 * 1024 * 1024
"""Our choice: a few seconds of a busy gateway."""

BATCH_ENTRIES = 64


class Outbox:
    """`dropped` counts what was pushed out or given up."""

    def __init__(self, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self.max_entries = max_entries
        self.max_bytes = max_bytes
        self.dropped = 0
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        return self._entries.get(key)

    def put(self, key: str, entry: Entry) -> None:
        self._remove(key)
        self._entries[key] = entry
        self._bytes += len(entry.value)
        while len(self._entries) > self.max_entries or self._bytes > self.max_bytes:
            self._remove(next(iter(self._entries)))
            self.dropped += 1

    def take(self) -> dict[str, Entry]:
        """The oldest few, which are ours no more."""
        batch: dict[str, Entry] = {}
        while self._entries and len(batch) < BATCH_ENTRIES:
            key, entry = next(iter(self._entries.items()))
            batch[key] = entry
            self._remove(key)
        return batch

    def give_up(self) -> None:
        self.dropped += len(self._entries)
        self._entries.clear()
        self._bytes = 0

    def clear(self, server: str | None, newest_at: float) -> None:
        """Remove the entries of a server (None: of all) stored at `newest_at` or before."""
        for key, entry in list(self._entries.items()):
            if (server is None or entry.server == server) and entry.stored_at <= newest_at:
                self._remove(key)

    def _remove(self, key: str) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self._bytes -= len(entry.value)
