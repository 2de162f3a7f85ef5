"""Other processes at the same cache file: run as `python -m tests.cache.peer WHAT PATH`.

Each says `ready` on standard output and goes on until its input ends or it is killed.
"""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from mcp_gateway.cache import Entry, SqliteCache, steady_clock


def lock_everything(path: Path) -> None:
    """Hold the file so that nobody else can even read it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("CREATE TABLE IF NOT EXISTS held (x)")
        _wait()


def lock_writes(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        _wait()


def write_for_ever(path: Path) -> None:
    clock = steady_clock()
    cache = SqliteCache(path, clock=clock)
    number = 0
    while True:
        for _ in range(100):
            value = b"%d:" % number * (number % 300 + 1)
            cache.store(f"k{number % 500}", Entry(value, clock(), clock() + 600, clock() + 600, "one"))
            number += 1
        cache.flush("two", number)
        cache.clear("two")
        cache.drain(5)
        if number == 300:
            _say_ready()


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _wait() -> None:
    _say_ready()
    sys.stdin.read()


if __name__ == "__main__":
    {"lock": lock_everything, "lock-writes": lock_writes, "write": write_for_ever}[sys.argv[1]](Path(sys.argv[2]))
