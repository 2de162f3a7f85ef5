"""Whatever is done to them, memory and file agree, and nobody gets what is another's."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from mcp_gateway.cache import Entry, Generations, MemoryCache, SqliteCache
from mcp_gateway.cache.key import digest

from tests.fakes.clock import Clock

servers = st.sampled_from(["one", "two"])
callers = st.sampled_from(["ann", "bob", "cleo"])
arguments = st.sampled_from([{"q": 1}, {"q": 2}])


class Tiers(RuleBasedStateMachine):
    """A model, a memory tier and a file, all told the same."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.folder = Path(tempfile.mkdtemp())
        self.generations = Generations(self.clock)
        self.memory = MemoryCache(clock=self.clock, generations=self.generations)
        self.disk = self.open_disk()
        self.model: dict[str, Entry] = {}

    def open_disk(self) -> SqliteCache:
        return SqliteCache(self.folder / "cache.sqlite", clock=self.clock, generations=self.generations)

    @rule(server=servers, caller=callers, args=arguments, ttl_s=st.sampled_from([5, 50]), text=st.binary(max_size=4))
    def store(self, server: str, caller: str, args: dict[str, int], ttl_s: float, text: bytes) -> None:
        key = self.key(server, caller, args)
        until = self.clock() + ttl_s
        value = f"{server} {caller} {args} ".encode() + text
        entry = Entry(value, self.clock(), until, until, server, self.generations.current(server))
        self.model[key] = entry
        self.memory.store(key, entry)
        self.disk.store(key, entry)

    @rule(server=servers, caller=callers, args=arguments)
    def look_up(self, server: str, caller: str, args: dict[str, int]) -> None:
        key = self.key(server, caller, args)
        expected = self.model.get(key)
        if expected is not None and self.clock() >= expected.expires_at:
            expected = None
        assert self.memory.lookup(key) == self.disk.lookup(key) == expected
        assert expected is None or expected.value.startswith(f"{server} {caller} {args} ".encode())

    @rule(server=servers)
    def flush(self, server: str) -> None:
        number = self.generations.bump(server)
        self.disk.flush(server, number)
        self.model = {key: entry for key, entry in self.model.items() if entry.server != server}

    @rule(server=st.none() | servers, older_than_s=st.sampled_from([0.0, 3.0]))
    def clear(self, server: str | None, older_than_s: float) -> None:
        newest_at = self.clock() - older_than_s
        self.memory.clear(server, older_than_s)
        self.disk.clear(server, older_than_s)
        assert self.disk.drain(10)
        self.model = {
            key: entry
            for key, entry in self.model.items()
            if not (server in (None, entry.server) and entry.stored_at <= newest_at)
        }

    @rule(seconds=st.sampled_from([1, 4, 40]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule()
    def settle(self) -> None:
        self.disk.purge()
        assert self.disk.drain(10)

    @rule()
    def restart(self) -> None:
        assert self.disk.drain(10)
        self.disk.close()
        self.disk = self.open_disk()

    @invariant()
    def nothing_was_lost(self) -> None:
        assert self.disk.stats().dropped == 0

    def key(self, server: str, caller: str, args: dict[str, int]) -> str:
        key = digest((server, "tool", caller), "tools/call", {"arguments": args})
        assert key is not None
        return key

    def teardown(self) -> None:
        self.disk.close()
        shutil.rmtree(self.folder)


TestTiers = Tiers.TestCase
TestTiers.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
