"""What waits to be written is bounded."""

from __future__ import annotations

from mcp_gateway.cache.base import Entry
from mcp_gateway.cache.outbox import BATCH_ENTRIES, Outbox


def entry(value: bytes = b"v", server: str = "one", stored_at: float = 0.0) -> Entry:
    return Entry(value, stored_at, 1.0, 1.0, server)


def test_the_oldest_is_dropped_and_counted_when_there_are_too_many() -> None:
    outbox = Outbox(max_entries=2)
    for key in "abc":
        outbox.put(key, entry())
    assert list(outbox.take()) == ["b", "c"]
    assert outbox.dropped == 1


def test_bytes_are_bounded_too() -> None:
    outbox = Outbox(max_bytes=10)
    outbox.put("a", entry(b"123456"))
    outbox.put("b", entry(b"123456"))
    assert outbox.get("a") is None
    assert len(outbox) == 1


def test_a_newer_entry_takes_the_place_of_the_older() -> None:
    outbox = Outbox(max_bytes=10)
    for _ in range(5):
        outbox.put("a", entry(b"123456"))
    assert (len(outbox), outbox.dropped) == (1, 0)


def test_a_batch_is_a_few_of_the_oldest() -> None:
    outbox = Outbox()
    for i in range(BATCH_ENTRIES + 1):
        outbox.put(str(i), entry())
    assert list(outbox.take()) == [str(i) for i in range(BATCH_ENTRIES)]
    assert list(outbox.take()) == [str(BATCH_ENTRIES)]


def test_clearing_takes_a_server_and_an_age_and_giving_up_takes_all() -> None:
    outbox = Outbox()
    outbox.put("old", entry(stored_at=1))
    outbox.put("new", entry(stored_at=3))
    outbox.put("other", entry(server="two", stored_at=1))
    outbox.clear("one", 2)
    assert outbox.get("old") is None
    assert len(outbox) == 2
    outbox.clear(None, 1)
    outbox.give_up()
    assert (len(outbox), outbox.dropped) == (0, 1)
