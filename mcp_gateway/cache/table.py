"""The cache's file: one table of sealed rows through sqlitedict, one of flush numbers.

Used by one thread only. Entries enter and leave by key; anything wrong with the file
leaves as `sqlite3.Error` or `OSError`, and what that means is `SqliteCache`'s business.

sqlitedict's own defaults are changed throughout: JSON instead of pickle, WAL, every
statement its own transaction, no stack per statement. The file is made ready with
plain `sqlite3` first, so that a bad file fails here and not in sqlitedict's thread.
"""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from sqlitedict import SqliteDict, SqliteMultithread

from mcp_gateway.cache import row
from mcp_gateway.cache.base import Clock, Entry
from mcp_gateway.cache.generations import EVERYTHING, Generations

logging.getLogger("sqlitedict").setLevel(logging.CRITICAL)  # it logs a dozen lines per failed statement; we log one

SCHEMA = 1
"""`PRAGMA user_version` of the file; a file of another schema starts afresh."""

BUSY_S = 0.25
"""How long a statement waits for another process. sqlitedict's 5 s would stall every read behind it."""

STEP_ROWS = 256
"""Rows one maintenance statement touches, so that reads get in between. Our choice."""

MEASURE_SHARE = 64
"""The file is measured each time this fraction of its cap was written; asking costs as much as writing a row."""

NO_FILE = -1

ROOM_BYTES = 64 * 1024 * 1024

FUTURE_S = 60.0
"""A row from further ahead than this was written by a clock that was wrong."""

BROKEN = frozenset(
    {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_MISMATCH,
    }
)
"""Result codes after which the file is no use any more. SQLITE_ERROR: its tables are not the ones we made."""

_TABLES = f"""
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB);
CREATE INDEX IF NOT EXISTS expiry ON entries ({row.EXPIRES_AT});
CREATE TABLE IF NOT EXISTS generations (server TEXT PRIMARY KEY, number INTEGER NOT NULL);
"""


class Damaged(sqlite3.DatabaseError):
    """SQLite's own check of the file found a fault."""


class _Connection(SqliteMultithread):  # type: ignore[misc]  # sqlitedict has no types
    """sqlitedict's thread, with our waiting time, which never ends with a file open or a traceback on stderr."""

    opened: sqlite3.Connection | None = None

    def run(self) -> None:
        try:
            super().run()
        except sqlite3.Error:
            self.exception = sys.exc_info()
        finally:
            if self.opened is not None:
                self.opened.close()

    def _connect(self) -> tuple[sqlite3.Connection, sqlite3.Cursor]:
        self.opened: sqlite3.Connection | None = None
        self.opened = connect(self.filename, check_same_thread=False)
        self.opened.execute("PRAGMA synchronous = OFF")
        self.opened.execute("PRAGMA journal_size_limit = 4194304")
        return self.opened, self.opened.cursor()


class _Dict(SqliteDict):  # type: ignore[misc]  # sqlitedict has no types
    def _new_conn(self) -> _Connection:
        return _Connection(self.filename, autocommit=True, journal_mode="WAL", outer_stack=False)


class Table:
    """One file while it is open. Rows stand in order of writing, so the oldest are evicted first."""

    def __init__(self, path: Path, *, max_bytes: int, max_rows: int, clock: Clock, generations: Generations) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.max_rows = max_rows
        self.rows = 0
        self.used_bytes = 0
        self.evicted = 0
        self._clock = clock
        self._generations = generations
        self._dict: Any = None
        self._secret = b""
        self._inode = NO_FILE
        self._numbers_sum: int | None = None
        self._unmeasured_bytes = 0

    @property
    def is_open(self) -> bool:
        return self._dict is not None

    def open(self, *, suspect: bool = False) -> None:
        """Make the file ready and open it; a suspect one is read through first. Raises also Damaged."""
        make_ready(self.path)
        if suspect:
            examine(self.path)
        self._secret = row.load_secret(self.path.with_name(self.path.name + ".key"))
        self._inode = self.path.stat().st_ino
        self._dict = _Dict(
            str(self.path), "entries", autocommit=True, journal_mode="WAL", encode=row.encode, decode=row.decode,
            outer_stack=False,
        )  # fmt: skip
        self._adopt()

    def close(self) -> None:
        """Never raises and never waits long: the file may be gone, or its thread stuck."""
        self._inode = NO_FILE
        if self._dict is None:
            return
        thread, self._dict, closing_dict = self._dict.conn, None, self._dict
        closing_dict.close(do_log=False, force=True)
        thread.join(timeout=1.0)

    def check_in_place(self) -> None:
        """Raises FileNotFoundError when the file we have open is no longer the one at the path."""
        if self.path.stat().st_ino != self._inode:
            raise FileNotFoundError(f"{self.path} was replaced")

    def set_aside(self) -> Path | None:
        """Close a broken file and rename it; an earlier one is removed. None when that is not possible.

        A file that another process has put in its place meanwhile is left alone.
        """
        inode = self._inode
        self.close()
        kept = self.path.with_name(f"{self.path.name}.corrupt-{int(self._clock())}")
        try:
            if inode not in (NO_FILE, self.path.stat().st_ino):
                return None
            for earlier in self.path.parent.glob(f"{self.path.name}.corrupt-*"):
                earlier.unlink(missing_ok=True)
            self.path.replace(kept)
            for suffix in ("-wal", "-shm"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        except OSError:
            return None
        return kept

    def read(self, key: str) -> Entry | None:
        """The live entry under a key. A row without our seal is deleted. Hears of other processes' flushes."""
        [(stored, numbers_sum)] = self._select(
            "SELECT (SELECT value FROM entries WHERE key = ?), (SELECT sum(number) FROM generations)", (key,)
        )
        if numbers_sum != self._numbers_sum:
            self._adopt()
        if stored is None:
            return None
        try:
            entry = row.unseal(self._secret, key, row.decode(stored))
        except row.Forged:
            self._delete("key = ?", (key,))
            return None
        now = self._clock()
        usable = now < entry.expires_at and entry.stored_at <= now + FUTURE_S
        return entry if usable and entry.generation >= self._generations.current(entry.server) else None

    def write(self, entries: Mapping[str, Entry]) -> None:
        self._dict.update([(key, row.seal(self._secret, key, entry)) for key, entry in entries.items()])
        self.rows += len(entries)
        written_bytes = sum(len(entry.value) for entry in entries.values())
        self.used_bytes += written_bytes
        self._unmeasured_bytes += written_bytes
        if self._unmeasured_bytes < self.max_bytes // MEASURE_SHARE:
            return
        self._measure()
        while self.used_bytes > self.max_bytes and self._evict():
            self._measure()

    def save_numbers(self, numbers: Mapping[str | None, int]) -> None:
        for server, number in numbers.items():
            self._select(
                "INSERT INTO generations VALUES (?, ?)"
                " ON CONFLICT (server) DO UPDATE SET number = max(number, excluded.number)",
                (EVERYTHING if server is None else server, number),
            )

    def purge(self) -> Iterator[None]:
        """Remove what has expired, then the oldest above the caps: a step a turn."""
        now = self._clock()
        while self._delete(
            f"rowid IN (SELECT rowid FROM entries WHERE {row.EXPIRES_AT} <= ? LIMIT ?)",  # noqa: S608 - a literal
            (now, STEP_ROWS),
        ):
            yield
        self._count()
        while (self.used_bytes > self.max_bytes or self.rows > self.max_rows) and self._evict():
            self._count()
            yield
        self._select(f"PRAGMA incremental_vacuum({STEP_ROWS})")
        self._measure()

    def clear(self, server: str | None, newest_at: float) -> Iterator[None]:
        """Remove the rows of a server (None: of all) stored at `newest_at` or before: a step a turn."""
        [(first, last)] = self._select("SELECT min(rowid), max(rowid) FROM entries")
        if first is None:
            return
        for start in range(first - 1, last, STEP_ROWS):
            self._delete(
                f"rowid > ? AND rowid <= ? AND {row.STORED_AT} <= ? AND (? IS NULL OR {row.SERVER} = ?)",
                (start, min(start + STEP_ROWS, last), newest_at, server, server),
            )
            yield
        self._count()

    def _evict(self) -> int:
        over = max(self.rows - self.max_rows, 0)
        gone = self._delete(
            "rowid IN (SELECT rowid FROM entries ORDER BY rowid LIMIT ?)", (min(over, STEP_ROWS) or STEP_ROWS // 4,)
        )
        self.evicted += gone
        return gone

    def _adopt(self) -> None:
        numbers: list[tuple[str, int]] = self._select("SELECT server, number FROM generations")
        for server, number in numbers:
            self._generations.adopt(None if server == EVERYTHING else server, number)
        self._numbers_sum = sum(number for _, number in numbers) if numbers else None

    def _count(self) -> None:
        [(self.rows,)] = self._select("SELECT count(*) FROM entries")
        self._measure()

    def _measure(self) -> None:
        """Pages in use: constant time, where summing lengths would read the whole file."""
        [(pages, free, size)] = self._select(
            "SELECT page_count, freelist_count, page_size FROM"
            " pragma_page_count, pragma_freelist_count, pragma_page_size"
        )
        self.used_bytes = (pages - free) * size
        self._unmeasured_bytes = 0

    def _delete(self, where: str, values: Sequence[Any]) -> int:
        self._select(f"DELETE FROM entries WHERE {where}", values)  # noqa: S608 - clauses are literals of this module
        [(gone,)] = self._select("SELECT changes()")
        self.rows = max(self.rows - gone, 0)
        return int(gone)

    def _select(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement. sqlitedict's own `select` waits forever once its thread has ended."""
        connection = self._dict.conn
        answers: Queue[Any] = Queue()
        connection.execute(statement, tuple(values), answers)
        rows: list[Any] = []
        while True:
            try:
                answer = answers.get(timeout=0.1)
            except Empty:
                if not connection.is_alive():
                    connection.check_raise_error()
                    raise sqlite3.OperationalError("the cache's connection has ended") from None
                continue
            connection.check_raise_error()
            if not isinstance(answer, tuple):
                return rows
            rows.append(answer)


def connect(path: Path | str, *, check_same_thread: bool = True) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=check_same_thread)


def make_ready(path: Path) -> None:
    """Create what is missing: folder (0700), file (0600), tables. Raises sqlite3.Error or OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    mode = path.stat().st_mode
    if mode & 0o077:
        path.chmod(mode & 0o700)
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has an effect on an empty file only
        connection.execute("PRAGMA journal_mode = WAL")
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA:
            return
        if version:
            connection.executescript("DROP TABLE IF EXISTS entries; DROP TABLE IF EXISTS generations")
        connection.executescript(f"{_TABLES} PRAGMA user_version = {SCHEMA};")


def examine(path: Path) -> None:
    """Read the whole file through. Raises Damaged."""
    with closing(connect(path)) as connection:
        [verdict] = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Damaged(f"damaged: {verdict}")


def is_broken(error: Exception) -> bool:
    """True when the file itself is no use any more, false when it is only out of reach for now.

    An error of neither kind comes from an answer that made no sense.
    """
    if isinstance(error, Damaged) or not isinstance(error, sqlite3.Error | OSError):
        return True
    return _code(error) in BROKEN


def is_suspect(error: Exception, path: Path) -> bool:
    """True when a disk with room is said to be full: pages that point nowhere look like that."""
    try:
        return _code(error) == sqlite3.SQLITE_FULL and shutil.disk_usage(path.parent).free > ROOM_BYTES
    except OSError:
        return False


def _code(error: Exception) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
