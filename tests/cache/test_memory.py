"""The memory tier: bounds, order, time, flushes."""

from __future__ import annotations

import threading

from mcp_gateway.cache import Entry, Generations, MemoryCache
from mcp_gateway.cache.memory import ENTRY_BYTES

from tests.fakes.clock import Clock


def entry(clock: Clock, value: bytes, *, ttl_s: float = 60, stale_s: float = 0, server: str = "") -> Entry:
    fresh_until = clock() + ttl_s
    return Entry(value, clock(), fresh_until, fresh_until + stale_s, server)


def test_a_value_comes_back_as_the_same_bytes() -> None:
    cache = MemoryCache(clock=Clock())
    cache.set("k", b"\xff\x00{")
    assert cache.get("k") == b"\xff\x00{"


def test_the_reader_decides_how_old_is_too_old() -> None:
    clock = Clock()
    cache = MemoryCache(ttl_s=300, clock=clock)
    cache.set("k", b"v")
    clock.advance(100)
    assert cache.get("k", ttl=99) is None
    assert cache.get("k", ttl=100) == b"v"
    clock.advance(201)
    assert cache.get("k") is None
    assert cache.get("k", ttl=1000) == b"v"


def test_the_least_recently_used_entry_goes_first() -> None:
    cache = MemoryCache(max_entries=2, clock=Clock())
    cache.set("a", b"1")
    cache.set("b", b"2")
    cache.get("a")
    cache.set("c", b"3")
    assert [cache.get(key) for key in "abc"] == [b"1", None, b"3"]
    assert cache.stats().evicted == 1


def test_bytes_are_bounded_and_given_back() -> None:
    size = 1000 + 1 + ENTRY_BYTES
    cache = MemoryCache(max_bytes=8 * size, clock=Clock())
    for name in "abcdefghij":
        cache.set(name, bytes(1000))
    assert (cache.stats().entries, cache.stats().bytes) == (8, 8 * size)
    assert cache.clear() == 8
    assert cache.stats().bytes == 0


def test_a_value_too_large_to_be_worth_it_replaces_nothing_but_its_old_self() -> None:
    cache = MemoryCache(max_bytes=8000, clock=Clock())
    cache.set("a", b"1")
    cache.set("b", b"2")
    cache.set("a", bytes(2000))
    assert cache.get("a") is None
    assert cache.get("b") == b"2"


def test_an_expired_entry_is_gone_and_its_bytes_with_it() -> None:
    clock = Clock()
    cache = MemoryCache(clock=clock)
    cache.store("k", entry(clock, b"v", ttl_s=10))
    clock.advance(10)
    assert cache.lookup("k") is None
    assert cache.stats().bytes == 0


def test_a_stale_entry_is_found_by_lookup_and_counted_but_never_by_get() -> None:
    clock = Clock()
    cache = MemoryCache(clock=clock)
    cache.store("k", entry(clock, b"v", ttl_s=10, stale_s=10))
    clock.advance(15)
    assert cache.get("k") is None
    found = cache.lookup("k")
    assert found is not None
    assert found.value == b"v"
    assert cache.stats().stale == 2


def test_a_flushed_server_has_no_entries_and_the_others_keep_theirs() -> None:
    clock = Clock()
    generations = Generations(clock)
    cache = MemoryCache(clock=clock, generations=generations)
    cache.store("a", entry(clock, b"1", server="one"))
    cache.store("b", entry(clock, b"2", server="two"))
    generations.bump("one")
    assert cache.lookup("a") is None
    assert cache.lookup("b") is not None
    generations.bump(None)
    assert cache.lookup("b") is None


def test_clear_takes_a_server_and_an_age() -> None:
    clock = Clock()
    cache = MemoryCache(clock=clock)
    cache.store("old", entry(clock, b"1", server="one"))
    clock.advance(30)
    cache.store("new", entry(clock, b"2", server="one"))
    cache.store("other", entry(clock, b"3", server="two"))
    assert cache.clear("one", older_than_s=30) == 1
    assert cache.clear("one") == 1
    assert cache.lookup("other") is not None


def test_threads_that_read_write_and_clear_at_once_leave_the_books_in_order() -> None:
    cache = MemoryCache(max_entries=50, clock=Clock())

    def work(seed: int) -> None:
        for i in range(3000):
            key = str((i * seed) % 80)
            if i % 3:
                cache.get(key)
            else:
                cache.set(key, bytes(i % 100))
            if i % 500 == 0:
                cache.clear()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 7, 13, 29)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.stats().entries <= 50
    cache.clear()
    assert (cache.stats().entries, cache.stats().bytes) == (0, 0)
