"""The second tier: a file behind one worker thread, read on demand and written behind.

Entries enter and leave by key; the caller waits for a read at most `READ_PATIENCE_S`
and for a write never. The file may be locked, full, read-only, broken or gone: then
the tier answers "not here" for `RETRY_S`, says so in one warning, and tries again. A
broken file is kept beside as `*.corrupt-<time>`. Nothing is opened before first use.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from traceback import clear_frames

import anyio

from mcp_gateway.cache.base import DEFAULT_TTL_S, CacheStats, Clock, Entry, EntryCache
from mcp_gateway.cache.generations import Generations
from mcp_gateway.cache.outbox import Outbox
from mcp_gateway.cache.table import Table, is_broken, is_suspect

logger = logging.getLogger(__name__)

MAX_BYTES = 512 * 1024 * 1024
MAX_ROWS = 100_000

MAX_VALUE_BYTES = 4 * 1024 * 1024
"""A larger value stays in memory only: encoding it would hold the interpreter for too long. Our choice."""

MAX_CHORES = 16
DONE = object()

READ_PATIENCE_S = 0.5
"""A file slower than this is no help to a call. Our choice."""

RETRY_S = 30.0
PURGE_EVERY_S = 60.0
CLOSE_S = 0.5
"""Closing writes what it can within this time; stopping must fit into 1.5 s (design, decision 14)."""

Job = Callable[[], None]
Chore = Callable[[], Iterator[None]]
"""Maintenance in steps; it starts once it is its turn, so that the file is open by then."""


class SqliteCache(EntryCache):
    """Made by anyone, used from any thread; `close` ends the worker."""

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int = MAX_BYTES,
        max_rows: int = MAX_ROWS,
        ttl_s: float = DEFAULT_TTL_S,
        clock: Clock | None = None,
        generations: Generations | None = None,
    ) -> None:
        super().__init__(ttl_s=ttl_s, clock=clock)
        generations = generations or Generations(self.clock)
        self._table = Table(path, max_bytes=max_bytes, max_rows=max_rows, clock=self.clock, generations=generations)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._reads: deque[tuple[str, Future[Entry | None]]] = deque()
        self._numbers: dict[str | None, int] = {}
        self._outbox = Outbox()
        self._chores: deque[Chore] = deque(maxlen=MAX_CHORES)
        self._running: Iterator[None] | None = None
        self._working = False
        self._suspect = False
        self._purge_due_monotonic_s = monotonic() + PURGE_EVERY_S
        self._close_by_monotonic_s: float | None = None
        self._down_until = 0.0
        self._warned = False
        self._hits = self._misses = 0

    @property
    def path(self) -> Path:
        return self._table.path

    def lookup(self, key: str) -> Entry | None:
        future = self._ask(key)
        try:
            return future.result(READ_PATIENCE_S)
        except TimeoutError:
            self._suspend(f"no answer within {READ_PATIENCE_S} s")
            return None

    async def fetch(self, key: str) -> Entry | None:
        future = self._ask(key)
        if not future.done():
            await self._settled(future)
        if future.done():
            return future.result()
        self._suspend(f"no answer within {READ_PATIENCE_S} s")
        return None

    def store(self, key: str, entry: Entry, persist: bool = True) -> None:
        with self._changed:
            if not persist or self._is_closing:
                return
            if self._is_down() or len(entry.value) > MAX_VALUE_BYTES:
                self._outbox.dropped += 1
                return
            self._outbox.put(key, entry)
            self._wake()

    def flush(self, server: str | None, generation: int) -> None:
        """Persist the flush number; it is kept until it could be written, also across an outage."""
        with self._changed:
            self._numbers[server] = generation
            self._wake()

    def clear(self, server: str | None = None, older_than_s: float | None = None) -> int:
        """Rows go behind the caller's back; what waits to be written goes at once."""
        newest_at = self.clock() - (older_than_s or 0.0)
        with self._changed:
            self._outbox.clear(server, newest_at)
            self._chores.append(lambda: self._table.clear(server, newest_at))
            self._wake()
        return 0

    def purge(self) -> None:
        """Remove expired rows now, behind the caller's back; it happens every minute anyway."""
        with self._changed:
            self._chores.append(self._table.purge)
            self._wake()

    def drain(self, patience_s: float) -> bool:
        """Wait until everything asked for so far is done, or given up; false when that takes longer."""
        with self._changed:
            return self._changed.wait_for(self._is_idle, patience_s)

    def stats(self) -> CacheStats:
        with self._changed:
            state = "down" if self._is_down() else "ok" if self._table.is_open else "closed"
            return CacheStats(
                entries=self._table.rows,
                bytes=self._table.used_bytes,
                hits=self._hits,
                misses=self._misses,
                evicted=self._table.evicted,
                dropped=self._outbox.dropped,
                state=state,
            )

    def close(self) -> None:
        with self._changed:
            self._close_by_monotonic_s = monotonic() + CLOSE_S
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(2 * CLOSE_S)

    # The caller's side; all with the lock held, except `_settled`.

    def _ask(self, key: str) -> Future[Entry | None]:
        future: Future[Entry | None] = Future()
        with self._changed:
            waiting = self._outbox.get(key)
            if waiting is not None or self._is_down() or self._is_closing:
                self._answer(future, waiting)
            else:
                self._reads.append((key, future))
                self._wake()
        return future

    async def _settled(self, future: Future[Entry | None]) -> None:
        """Wait for the worker. anyio's way back from a thread makes the thread wait for the loop; this does not."""
        loop = asyncio.get_running_loop()
        done = anyio.Event()

        def wake(_: Future[Entry | None]) -> None:
            with suppress(RuntimeError):  # the loop has ended; so has the waiter
                loop.call_soon_threadsafe(done.set)

        future.add_done_callback(wake)
        with anyio.move_on_after(READ_PATIENCE_S):
            await done.wait()

    def _answer(self, future: Future[Entry | None], entry: Entry | None) -> None:
        if entry is not None and self.clock() >= entry.expires_at:
            entry = None
        self._hits += entry is not None
        self._misses += entry is None
        future.set_result(entry)

    def _wake(self) -> None:
        if self._thread is None and not self._is_closing:
            self._thread = threading.Thread(target=self._work, name="cache", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    @property
    def _is_closing(self) -> bool:
        return self._close_by_monotonic_s is not None

    def _is_down(self) -> bool:
        return self.clock() < self._down_until

    def _is_idle(self) -> bool:
        waiting = (
            self._reads or self._outbox or (not self._is_down() and (self._numbers or self._chores or self._running))
        )
        return not (self._working or waiting)

    # The worker's side.

    def _work(self) -> None:
        while self._wait_for_work():
            try:
                self._ensure_open()
                self._next_job()()
            except Exception as fault:  # boundary: a damaged file may answer anything, in any shape
                self._give_up(fault)
            with self._changed:
                self._working = False
                self._changed.notify_all()
        self._table.close()

    def _wait_for_work(self) -> bool:
        """False when it is time to end."""
        with self._changed:
            while True:
                if self._is_closing and (self._is_down() or monotonic() >= (self._close_by_monotonic_s or 0.0)):
                    return False
                if not self._is_down() and self._has_work():
                    self._working = True
                    return True
                if self._is_closing:
                    return False
                self._changed.wait(RETRY_S)

    def _has_work(self) -> bool:
        purge_is_due = self._table.is_open and monotonic() >= self._purge_due_monotonic_s
        return bool(self._reads or self._numbers or self._outbox or self._chores or self._running or purge_is_due)

    def _next_job(self) -> Job:
        """Reads first, as somebody waits for them; then flushes, writes, and maintenance."""
        with self._changed:
            if self._reads:
                return partial(self._read, *self._reads.popleft())
            if self._numbers:
                return partial(self._save_numbers, dict(self._numbers))
            if self._outbox:
                return partial(self._write, self._outbox.take())
            if self._running is None and not self._chores:
                self._purge_due_monotonic_s = monotonic() + PURGE_EVERY_S
                self._chores.append(self._table.purge)
            return self._step

    def _read(self, key: str, future: Future[Entry | None]) -> None:
        entry = None
        try:
            entry = self._table.read(key)
        finally:
            with self._changed:
                self._answer(future, entry)

    def _save_numbers(self, numbers: dict[str | None, int]) -> None:
        self._table.save_numbers(numbers)
        with self._changed:
            for server, number in numbers.items():
                if self._numbers.get(server) == number:
                    del self._numbers[server]

    def _write(self, batch: dict[str, Entry]) -> None:
        try:
            self._table.write(batch)
        except Exception:
            with self._changed:
                self._outbox.dropped += len(batch)
            raise
        if self._warned:
            self._warned = False
            logger.info("cache.disk.back path=%s", self.path)

    def _step(self) -> None:
        """One step of the chore under way, or of the next one."""
        if self._running is None:
            self._running = self._chores.popleft()()
        if next(self._running, DONE) is DONE:
            self._running = None

    def _ensure_open(self) -> None:
        if self._table.is_open:
            self._table.check_in_place()
            return
        self._table.open(suspect=self._suspect)
        self._suspect = False
        self._purge_due_monotonic_s = monotonic()

    def _give_up(self, fault: Exception) -> None:
        """Close, put a broken file out of the way, and stay away for a while."""
        if not isinstance(fault, sqlite3.Error | OSError):
            logger.debug("cache.disk.nonsense path=%s", self.path, exc_info=fault)
        kept = self._table.set_aside() if is_broken(fault) else None
        self._suspect = is_suspect(fault, self.path)
        self._table.close()
        clear_frames(fault.__traceback__)  # a cursor in a dead frame would keep the file open, and its disk busy
        self._running = None
        self._suspend(f"{fault}; the broken file is kept as {kept.name}" if kept else str(fault))

    def _suspend(self, reason: str) -> None:
        with self._changed:
            warn, self._warned = not self._warned, True
        if warn:
            logger.warning("cache.disk.off path=%s retry_s=%.0f reason=%s", self.path, RETRY_S, reason)
        with self._changed:
            self._down_until = self.clock() + RETRY_S
            self._outbox.give_up()
            while self._reads:
                self._answer(self._reads.popleft()[1], None)
            self._changed.notify_all()
