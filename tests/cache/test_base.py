"""Back ends of one's own, and the clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.cache import Cache, Entry, Generations, MemoryCache, TieredCache, steady_clock
from mcp_gateway.config.dotted import subclass
from mcp_gateway.errors import BadConfig

from tests.fakes.clock import Clock


class Shelf(Cache):
    """The smallest back end somebody might write."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, key: str, ttl: float | None = None) -> bytes | None:
        return self.kept.get(key)

    def set(self, key: str, value: bytes, persist: bool = True) -> None:
        self.kept[key] = value


class Broken(Shelf):
    def get(self, key: str, ttl: float | None = None) -> bytes | None:
        raise ConnectionError("no such shelf")

    def set(self, key: str, value: bytes, persist: bool = True) -> None:
        raise ConnectionError("no such shelf")


def tiered(second: Cache, clock: Clock) -> TieredCache:
    generations = Generations(clock)
    return TieredCache(MemoryCache(clock=clock, generations=generations), second, generations)


def test_a_back_end_is_found_by_its_dotted_path() -> None:
    assert subclass("cache.backend", "tests.cache.test_base:Shelf", Cache) is Shelf


@pytest.mark.parametrize(
    "path", ["", "os", ":x", "no_such_module:X", "tests.cache.test_base:Nothing", "os:path", "pathlib:Path", "..:X"]
)
def test_a_path_that_leads_to_no_back_end_is_a_configuration_error(path: str) -> None:
    with pytest.raises(BadConfig):
        subclass("cache.backend", path, Cache)


async def test_a_back_end_with_get_and_set_alone_serves_as_second_tier() -> None:
    clock, shelf = Clock(), Shelf()
    first = tiered(shelf, clock)
    first.store("k", Entry(b"v\n\xff", clock(), clock() + 10, clock() + 10, "one"))
    second = tiered(shelf, clock)
    found = await second.fetch("k")
    assert found is not None
    assert found.value == b"v\n\xff"
    assert second.lookup("k") == found
    second.clear("one")
    assert await second.fetch("k") is None
    assert (await tiered(shelf, clock).fetch("unknown")) is None
    second.close()


async def test_a_back_end_that_fails_has_nothing_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    cache = tiered(Broken(), clock)
    cache.set("k", b"v")
    assert cache.get("k") == b"v"
    assert cache.get("other") is None
    assert await cache.fetch("k") is None
    assert len(caplog.records) == 1


async def test_a_back_end_that_returns_nonsense_has_nothing() -> None:
    shelf = Shelf()
    shelf.kept = {"a": b"x", "b": b"[1]\nx", "c": b"[[],1,1,1,1]\nx", "d": b"[" * 100_000}
    cache = tiered(shelf, Clock())
    assert [await cache.fetch(key) for key in "abcd"] == [None] * 4


@given(st.binary(), st.text(), st.floats(0, 2e9), st.integers(0, 2**60))
def test_a_packed_entry_unpacks_to_itself(value: bytes, server: str, moment: float, generation: int) -> None:
    entry = Entry(value, moment, moment + 1, moment + 2, server, generation)
    assert Entry.unpack(entry.pack()) == entry


def test_the_steady_clock_tells_the_time_and_never_goes_back() -> None:
    clock = steady_clock()
    readings = [clock() for _ in range(1000)]
    assert readings == sorted(readings)
    assert abs(readings[0] - time.time()) < 5


def test_only_the_cache_room_knows_sqlitedict() -> None:
    package = Path(__file__).parents[2] / "mcp_gateway"
    users = {path.parent.name for path in package.rglob("*.py") if "import SqliteDict" in path.read_text()}
    assert users == {"cache"}


def test_a_tiered_cache_counts_a_hit_once_whichever_tier_it_came_from() -> None:
    clock, shelf = Clock(), Shelf()
    tiered(shelf, clock).set("k", b"v")
    cache = tiered(shelf, clock)
    assert [cache.get("k"), cache.get("k"), cache.get("unknown")] == [b"v", b"v", None]
    assert set(cache.stats().tiers) == {"memory", "disk"}
    assert (cache.stats().hits, cache.stats().misses) == (2, 1)
