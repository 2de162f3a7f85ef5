"""The disk tier in good times: what is kept, for how long, how much, and in what form."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.cache import Entry, Generations, SqliteCache, open_cache
from mcp_gateway.cache.sqlite import MAX_VALUE_BYTES

from tests.fakes.clock import Clock

Open = Callable[..., SqliteCache]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache.sqlite"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_disk(path: Path, clock: Clock) -> Iterator[Open]:
    opened: list[SqliteCache] = []

    def open_one(**settings: Any) -> SqliteCache:
        opened.append(SqliteCache(path, clock=clock, **settings))
        return opened[-1]

    yield open_one
    for cache in opened:
        cache.close()


def entry(clock: Clock, value: bytes = b"v", *, ttl_s: float = 60, server: str = "one", generation: int = 0) -> Entry:
    return Entry(value, clock(), clock() + ttl_s, clock() + ttl_s, server, generation)


def raw_rows(path: Path) -> list[tuple[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT key, value FROM entries").fetchall()


def test_nothing_is_opened_before_first_use(open_disk: Open, path: Path) -> None:
    open_disk()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "value", [b"", b'{"a":"\xc3\xa9\xf0\x9f\x98\x80"}', b"\x00\xff\xfe", bytes(range(256)), b'"\\u0000"']
)
def test_bytes_come_back_exactly_after_a_restart(open_disk: Open, value: bytes) -> None:
    first = open_disk()
    first.set("k", value)
    first.close()
    assert open_disk().get("k") == value


def test_what_waits_to_be_written_is_read_already(open_disk: Open) -> None:
    cache = open_disk()
    for i in range(200):
        cache.set(str(i), b"%d" % i)
        assert cache.get(str(i)) == b"%d" % i


async def test_fetch_waits_for_the_file_without_blocking(open_disk: Open, clock: Clock) -> None:
    cache = open_disk()
    cache.store("k", entry(clock))
    assert cache.drain(5)
    assert await cache.fetch("k") == entry(clock)
    assert await cache.fetch("unknown") is None
    assert (cache.stats().hits, cache.stats().misses) == (1, 1)


def test_an_unpersisted_value_does_not_reach_the_file(open_disk: Open) -> None:
    cache = open_disk()
    cache.set("k", b"v", persist=False)
    assert cache.get("k") is None


def test_a_value_too_large_for_the_file_is_dropped_and_counted(open_disk: Open) -> None:
    cache = open_disk()
    cache.set("k", bytes(MAX_VALUE_BYTES + 1))
    assert cache.get("k") is None
    assert cache.stats().dropped == 1


def test_an_expired_row_is_not_served_and_is_purged(open_disk: Open, clock: Clock, path: Path) -> None:
    cache = open_disk()
    for i in range(1000):
        cache.store(f"short{i}", entry(clock, ttl_s=10))
    cache.store("long", entry(clock, ttl_s=100))
    assert cache.drain(10)
    clock.advance(10)
    assert cache.lookup("short1") is None
    cache.purge()
    assert cache.drain(10)
    assert [key for key, _ in raw_rows(path)] == ["long"]
    assert cache.stats().entries == 1


def test_a_row_from_the_future_is_not_served(open_disk: Open, clock: Clock) -> None:
    cache = open_disk()
    cache.store("k", entry(clock))
    assert cache.drain(5)
    clock.advance(-3600)
    assert cache.lookup("k") is None


def test_the_oldest_rows_go_when_there_are_too_many(open_disk: Open, clock: Clock, path: Path) -> None:
    cache = open_disk(max_rows=300)
    for i in range(700):
        cache.store(f"{i:04}", entry(clock))
    assert cache.drain(10)
    cache.purge()
    assert cache.drain(10)
    assert [key for key, _ in raw_rows(path)] == [f"{i:04}" for i in range(400, 700)]
    assert cache.stats().evicted == 400


def test_the_file_stays_within_its_bytes(open_disk: Open, clock: Clock, path: Path) -> None:
    cache = open_disk(max_bytes=1_000_000)
    for i in range(500):
        cache.store(f"{i:04}", entry(clock, bytes(10_000).replace(b"\0", b"x")))
        if i % 50 == 0:
            assert cache.drain(10)
    assert cache.drain(10)
    assert cache.stats().bytes <= 1_000_000
    assert path.stat().st_size <= 2_000_000
    assert cache.lookup("0499") is not None
    assert cache.lookup("0000") is None


def test_clear_takes_a_server_and_an_age(open_disk: Open, clock: Clock, path: Path) -> None:
    cache = open_disk()
    for i in range(600):
        cache.store(f"old{i}", entry(clock, server="one"))
    clock.advance(30)
    cache.store("new", entry(clock, server="one"))
    cache.store("other", entry(clock, server="two"))
    assert cache.drain(5)
    cache.clear("one", older_than_s=30)
    assert cache.drain(5)
    assert sorted(key for key, _ in raw_rows(path)) == ["new", "other"]
    cache.clear()
    assert cache.drain(5)
    assert raw_rows(path) == []


def test_clear_also_takes_what_waits_to_be_written(open_disk: Open, clock: Clock) -> None:
    cache = open_disk()
    cache.store("k", entry(clock))
    cache.clear("one")
    cache.store("other", entry(clock, server="two"))
    assert cache.drain(5)
    assert cache.lookup("k") is None


def test_a_flush_outlives_the_process(path: Path, clock: Clock) -> None:
    first = open_cache(path=path, clock=clock)
    first.store("k", entry(clock))
    first.flush("one")
    first.store("late", entry(clock, generation=0))
    first.store("fresh", entry(clock, generation=first.generation("one")))
    first.close()
    second = open_cache(path=path, clock=clock)
    assert second.get("k") is None
    assert second.get("late") is None
    assert second.get("fresh") == b"v"
    second.flush(None)
    second.close()
    third = open_cache(path=path, clock=clock)
    assert third.get("fresh") is None
    third.close()


async def test_a_flush_in_one_process_is_heard_by_another_at_its_next_read(path: Path, clock: Clock) -> None:
    one, two = open_cache(path=path, clock=clock), open_cache(path=path, clock=clock)
    one.store("k", entry(clock))
    one.close()
    assert await two.fetch("k") is not None
    three = open_cache(path=path, clock=clock)
    three.flush("one")
    three.close()
    assert two.lookup("k") is not None, "memory has not heard yet"
    assert await two.fetch("something else") is None
    assert two.lookup("k") is None
    two.close()


def test_r_cache_3_file_and_secret_are_private_in_a_private_folder(open_disk: Open, path: Path) -> None:
    cache = open_disk()
    cache.set("k", b"v")
    assert cache.drain(5)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert len(path.with_name("cache.sqlite.key").read_bytes()) == 32


def test_a_file_that_others_may_read_is_closed_to_them(open_disk: Open, path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    path.chmod(0o644)
    cache = open_disk()
    cache.set("k", b"v")
    assert cache.drain(5)
    assert path.stat().st_mode & 0o777 == 0o600


def test_rows_are_json_and_no_pickle_byte_is_written(open_disk: Open, clock: Clock, path: Path) -> None:
    cache = open_disk()
    cache.store("k", entry(clock, b'{"x":1}'))
    cache.close()
    [(_, value)] = raw_rows(path)
    assert isinstance(value, str)
    assert value.startswith("[")
    for protocol in range(2, 6):
        assert bytes([0x80, protocol, 0x95]) not in path.read_bytes()


def test_a_pickled_row_is_not_loaded_but_deleted(open_disk: Open, clock: Clock, path: Path, tmp_path: Path) -> None:
    bait = tmp_path / "bait"
    evil = b"cos\nsystem\n(S'touch %b'\ntR." % str(bait).encode()
    cache = open_disk()
    cache.store("k", entry(clock))
    assert cache.drain(5)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP INDEX expiry")
        connection.execute("UPDATE entries SET value = ?", (evil,))
    assert cache.lookup("k") is None
    assert not bait.exists()
    assert raw_rows(path) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE entries SET value = replace(value, 'apple', 'amber')",
        "UPDATE entries SET key = 'b' WHERE key = 'a'",
        "UPDATE entries SET value = json_set(value, '$[0]', 9e9)",
        "UPDATE entries SET value = json_set(value, '$[4]', 99)",
        "UPDATE entries SET value = '[]'",
        "UPDATE entries SET value = '{\"a\":1}'",
        "UPDATE entries SET value = '[1,1,1,1,1,1,1,1]'",
    ],
)
def test_r_cache_3_a_row_that_somebody_changed_is_not_served(
    open_disk: Open, clock: Clock, path: Path, change: str
) -> None:
    cache = open_disk()
    cache.store("a", entry(clock, b"apple"))
    assert cache.drain(5)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(change)
    assert cache.lookup("a") is None
    assert cache.lookup("b") is None
    cache.store("a", entry(clock, b"apple"))
    assert cache.drain(5)
    assert cache.lookup("a") == entry(clock, b"apple"), "the tier goes on"


def test_another_secret_makes_all_rows_misses(open_disk: Open, clock: Clock, path: Path) -> None:
    first = open_disk()
    first.store("k", entry(clock))
    first.close()
    path.with_name("cache.sqlite.key").write_bytes(b"short")
    second = open_disk()
    assert second.lookup("k") is None
    second.store("k", entry(clock))
    assert second.drain(5)
    assert second.lookup("k") is not None


def test_a_file_of_another_schema_starts_afresh(open_disk: Open, clock: Clock, path: Path) -> None:
    first = open_disk()
    first.store("k", entry(clock))
    first.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    second = open_disk()
    assert second.lookup("k") is None
    second.store("k", entry(clock))
    assert second.drain(5)
    assert second.lookup("k") is not None


def test_a_closed_cache_has_nothing_and_takes_nothing(open_disk: Open) -> None:
    cache = open_disk(generations=Generations(Clock()))
    cache.set("k", b"v")
    cache.close()
    cache.set("other", b"v")
    assert cache.get("k") is None
    assert cache.get("other") is None
