"""Answers from the cache, and the keeping of new ones.

A call that policy has let through enters; its answer leaves, fresh or kept, with a
mark in `_meta` that says which. What may be kept is a `CacheRule`, made elsewhere;
nothing here knows a configuration, a catalog or an upstream.

Identical misses at the same time become one call. A caller that wants progress makes
its own, so that its progress reaches it. A call that changes something at a server
makes everything kept from that server dead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from types import TracebackType

import anyio
from anyio import to_thread

from mcp_gateway.cache import CacheRule, Entry, Scope, TieredCache, Use
from mcp_gateway.cache.answer import Fate, Verdict, judge, marked
from mcp_gateway.cache.flight import Flights
from mcp_gateway.cache.key import digest
from mcp_gateway.call import QUIET, Call, Sink
from mcp_gateway.events import Event, OfferChanged, ResourceUpdated
from mcp_gateway.middleware import Next
from mcp_gateway.wire import Raw, RawParams


class CacheMiddleware:
    """An asynchronous context manager: the tasks of shared calls live in it, and it closes the cache.

    `rule_for` gives the rule of a resolved call, or None when its server keeps nothing. `owns`
    tells whether the catalog leads anywhere from a URI that an answer links to.
    """

    def __init__(
        self,
        cache: TieredCache,
        rule_for: Callable[[Call], CacheRule | None],
        owns: Callable[[str], bool],
    ) -> None:
        self._cache = cache
        self._rule_for = rule_for
        self._owns = owns
        self._known: set[str] = set()
        self._exits = AsyncExitStack()
        self._flights: Flights[Sink, _Answer] | None = None

    async def __aenter__(self) -> CacheMiddleware:
        group = await self._exits.enter_async_context(anyio.create_task_group())
        self._exits.callback(group.cancel_scope.cancel)
        self._flights = Flights(group)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flights = None
        try:
            await self._exits.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._cache.close)

    async def __call__(self, call: Call, next: Next) -> Raw:
        rule = self._rule_for(call)
        if rule is None or rule.use is Use.PASS:
            return await next(call)
        if rule.use is Use.WRITE:
            return await self._write(rule, call, next)
        key = _key(rule, call, rule.scope)
        if key is None:
            return await next(call)
        entry = self._cache.lookup(key)
        call.cached = False
        if entry is not None and self._cache.clock() < entry.fresh_until:
            call.cached = True
            return marked(entry.value, hit=True, age_s=self._cache.clock() - entry.stored_at)
        return await self._seek(_Trip(self._cache, self._owns, rule, call, next, key, _public_key(rule, call)), entry)

    def hear(self, event: Event) -> None:
        """An event listener: what a server says has changed is not answered from memory.

        The first reading of an offer is no change; answers kept by an earlier process stay good.
        """
        match event:
            case OfferChanged(server) if server in self._known:
                self._cache.flush(server)
            case OfferChanged(server):
                self._known.add(server)
            case ResourceUpdated(server):
                self._cache.flush(server)
            case _:
                return

    async def _write(self, rule: CacheRule, call: Call, next: Next) -> Raw:
        """The flush comes last: what was read while the call ran may be from before its effect."""
        try:
            return await next(call)
        finally:
            self._cache.flush(rule.server)

    async def _seek(self, trip: _Trip, entry: Entry | None) -> Raw:
        """Beyond a fresh answer of the caller's own: what all share, what is stale but usable, or a miss."""
        if entry is None and trip.public_key is not None:
            entry = self._cache.lookup(trip.public_key)
        if entry is None:
            return await self._miss(trip)
        trip.call.cached = True
        if self._cache.clock() >= entry.fresh_until and self._flights is not None:
            self._flights.launch(trip.flight, QUIET, trip.go)
        return marked(entry.value, hit=True, age_s=self._cache.clock() - entry.stored_at)

    async def _miss(self, trip: _Trip) -> Raw:
        """One call for all who ask the same, each within its own deadline; what is for one caller stays with it."""
        sink = trip.call.sink
        if self._flights is None or sink.token is not None:
            return self._reply(trip.call, await trip.go([sink]))
        answer, ours = await self._flights.join(trip.flight, sink, trip.go)
        if answer.fate is Fate.ALONE and not ours:
            answer = await trip.go([sink])
        return self._reply(trip.call, answer)

    def _reply(self, call: Call, answer: _Answer) -> Raw:
        """Three cases: 1. it came from the cache; 2. it is in there now; 3. it is not, and goes on byte for byte."""
        call.cached = answer.kept_at is not None
        if answer.kept_at is not None:
            return marked(answer.raw, hit=True, age_s=self._cache.clock() - answer.kept_at)
        return marked(answer.raw, hit=False, age_s=0) if answer.was_kept else Raw(answer.raw)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one trip brought. `kept_at` is None when it is new from the upstream; `was_kept` says whether it stayed."""

    raw: bytes
    fate: Fate
    kept_at: float | None = None
    was_kept: bool = False


@dataclass(frozen=True, slots=True)
class _Trip:
    """One request whose answer may be kept: where it is looked for, and how it is fetched.

    `public_key` is where an answer stands that the upstream calls public; None when it cannot.
    """

    cache: TieredCache
    owns: Callable[[str], bool]
    rule: CacheRule
    call: Call
    next: Next
    key: str
    public_key: str | None

    @property
    def flight(self) -> tuple[str, float | None]:
        """Calls fly together when they would wait equally long."""
        return self.key, self.call.deadline_s

    async def go(self, members: Sequence[Sink]) -> _Answer:
        """The second tier, then the upstream."""
        entry = await self.cache.fetch(self.key)
        if entry is None and self.public_key is not None:
            entry = await self.cache.fetch(self.public_key)
        if entry is not None and self.cache.clock() < entry.fresh_until:
            return _Answer(entry.value, Fate.KEEP, entry.stored_at)
        generation = self.cache.generation(self.rule.server)
        party = _Party(members)
        raw = bytes(await self.next(replace(self.call, params=dict(self.call.params), sink=party)))
        verdict = Verdict(Fate.ALONE) if party.asked else judge(raw, self.owns)
        return _Answer(raw, verdict.fate, was_kept=self._keep(raw, verdict, generation))

    def _keep(self, raw: bytes, verdict: Verdict, generation: int) -> bool:
        ttl_s = verdict.ttl_s if self.rule.ttl_s is None else self.rule.ttl_s
        if verdict.fate is not Fate.KEEP or ttl_s is None or ttl_s <= 0:
            return False
        now = self.cache.clock()
        fresh_until = now + ttl_s
        entry = Entry(raw, now, fresh_until, fresh_until + self.rule.stale_s, self.rule.server, generation)
        key = self.public_key if verdict.public and self.public_key is not None else self.key
        self.cache.store(key, entry, persist=self.rule.scope is not Scope.SESSION)
        return True


class _Party:
    """The sink of a call that several wait for: all hear, only the one who started it can be asked."""

    def __init__(self, members: Sequence[Sink]) -> None:
        self.owner = members[0].owner if members else ""
        self.token = members[0].token if members else None
        self.asked = False
        self._members = members
        self._first = members[0] if members else QUIET

    def notify(self, method: str, params: RawParams) -> None:
        for member in tuple(self._members):
            member.notify(method, dict(params))

    async def request(self, method: str, params: RawParams) -> Raw:
        """What is answered makes the result the asked one's own."""
        self.asked = True
        sink = self._first if self._first in self._members else QUIET
        return await sink.request(method, params)


def _key(rule: CacheRule, call: Call, scope: Scope) -> str | None:
    """The results are in the caller's terms, so its revision is part of what they depend on."""
    if call.route is None:
        return None
    identity = (
        rule.server,
        call.route.name,
        rule.definition,
        rule.credential,
        call.client.revision,
        scope,
        _sharer(call, scope),
    )
    return digest(identity, call.method, call.params)


def _public_key(rule: CacheRule, call: Call) -> str | None:
    """Where an answer stands that the upstream calls public: only prompts and resources can be (SEP-2549)."""
    if call.method == "tools/call" or rule.scope is Scope.PUBLIC:
        return None
    return _key(rule, call, Scope.PUBLIC)


def _sharer(call: Call, scope: Scope) -> str:
    if scope is Scope.PUBLIC:
        return ""
    return call.principal.id if scope is Scope.PRINCIPAL else call.client.session or call.client.key
