"""Connections that clients have to themselves, beside the shared one of each upstream.

A client and the shared agent enter, the agent to use leaves (design, decision 6).
Own connections are dialled by their first call and are never listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from mcp_gateway.call import Client
from mcp_gateway.errors import UpstreamBusy
from mcp_gateway.security.principal import LOCAL
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.definition import Definition, Isolation
from mcp_gateway.upstream.kept import Kept, Start

POOLED_IDLE_S = 300.0
"""An own connection is given up after this long without a call, unless a session's end will end it (our choice)."""

MAX_POOLED = 1_000
"""Own connections over all upstreams (our choice)."""

MAX_OF_PRINCIPAL = 32
"""Of those, the ones that one principal has for what its clients can do: hosts differ little (our choice)."""

MAX_ISOLATED_OF_PRINCIPAL = 250
"""Of those, the ones that one principal has because of `isolation`: a quarter, as of sessions, where the local
person may have all (our choice)."""

_KNOWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "elicitation": {"form": {}, "url": {}},
    "roots": {"listChanged": True},
    "sampling": {"context": {}, "tools": {}},
}
"""The capabilities by which an upstream decides what to ask a client, each with its variants (2025-11-25, schema,
ClientCapabilities). Anything else would only tell connections apart."""

_SESSION = "session:"

_encode_sorted = msgspec.json.Encoder(order="deterministic").encode


_Place = tuple[str, str]
"""A server, and what the connection's users have in common."""


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whom a connection counts for; `isolated` where the file asks for it."""

    principal: str
    isolated: bool


class Pool:
    """Own connections, by upstream and by what their users have in common."""

    def __init__(self, start: Start, limit: int) -> None:
        self._start = start
        self._limit = limit
        self._kept: dict[_Place, Kept] = {}
        self._owners: dict[_Place, _Owner] = {}

    def __iter__(self) -> Iterator[MCPAgent]:
        return iter([kept.agent for kept in self._kept.values()])

    def __len__(self) -> int:
        return len(self._kept)

    def agent_for(self, shared: Kept, client: Client) -> MCPAgent:
        """The agent for one client's call: an own one, or the shared one.

        Raises UpstreamBusy when isolation is asked for and there are too many connections: isolated
        clients must not end up on a shared one.
        """
        key = _key(shared, client)
        if key is None:
            return shared.agent
        own = self._kept.get((shared.definition.name, key))
        if own is None:
            owner = _Owner(client.principal.id, shared.definition.isolation is not Isolation.SHARED)
            if not self._has_room(owner):
                return _without_room(shared)
            own = self._start_own(shared, key, _known(client.capabilities), owner)
        return own.agent

    def find(self, server: str, key: str) -> MCPAgent | None:
        """The agent of an own connection, while there is one."""
        kept = self._kept.get((server, key))
        return None if kept is None else kept.agent

    def _start_own(self, shared: Kept, key: str, capabilities: Mapping[str, Any], owner: _Owner) -> Kept:
        place = shared.definition.name, key
        own = self._kept[place] = self._start(_own(shared.definition, key, owner.principal), capabilities)
        self._owners[place] = owner
        return own

    def _end(self, place: _Place) -> None:
        del self._owners[place]
        self._kept.pop(place).end()

    def _has_room(self, owner: _Owner) -> bool:
        """Agents that nobody used for long and that are not connected make room; a subscription is a use."""
        before_s = time.monotonic() - POOLED_IDLE_S
        for key, kept in list(self._kept.items()):
            agent = kept.agent
            in_use = agent.link is not None or agent.slots.in_flight or agent.subscribed
            if not in_use and agent.last_used_monotonic_s < before_s:
                self._end(key)
        of_owner = sum(other == owner for other in self._owners.values())
        return len(self._kept) < self._limit and of_owner < self._share(owner)

    def _share(self, owner: _Owner) -> int:
        if not owner.isolated:
            return MAX_OF_PRINCIPAL
        return self._limit if owner.principal == LOCAL.id else MAX_ISOLATED_OF_PRINCIPAL

    def release(self, client: Client) -> None:
        """The client's session has ended: what it had to itself is closed."""
        for key in [key for key in self._kept if key[1] == _session_key(client)]:
            self._end(key)

    def dismiss(self, admitted: Callable[[str], bool]) -> None:
        """What principals have to themselves that are not `admitted` any more is closed."""
        for place in [place for place, owner in self._owners.items() if not admitted(owner.principal)]:
            self._end(place)

    def session_of(self, agent: MCPAgent) -> str | None:
        """The key of the one session that an agent's connection belongs to; None when several may use it."""
        keys = [key for (_, key), kept in self._kept.items() if kept.agent is agent]
        return keys[0].removeprefix(_SESSION) if keys and keys[0].startswith(_SESSION) else None

    def end(self, server: str) -> None:
        """The upstream is not kept any more."""
        for key in [key for key in self._kept if key[0] == server]:
            self._end(key)

    def renew(self, shared: Kept, principal: str | None = None) -> None:
        """The upstream's connections, or one principal's, are to be replaced: by the next call, at once where there are
        subscriptions.
        """
        for (server, key), old in list(self._kept.items()):
            owner = self._owners[server, key]
            if server != shared.definition.name or principal not in (None, owner.principal):
                continue
            self._end((server, key))
            if old.agent.subscribed:
                self._start_own(shared, key, old.agent.capabilities, owner).agent.take_over(old.agent)

    def forget(self, agent: MCPAgent) -> None:
        """Its connection was closed for want of use; the next call starts another."""
        if agent.subscribed:
            return
        for key in [key for key, kept in self._kept.items() if kept.agent is agent]:
            self._end(key)


def _key(shared: Kept, client: Client) -> str | None:
    """What a client shares its connection by; None when with everybody.

    1. isolation by session, where the client has one; 2. isolation by user; 3. a legacy HTTP upstream:
    by principal and capabilities, so that it never asks what the client cannot answer; 4. the shared one.
    """
    isolation = shared.definition.isolation
    if isolation is Isolation.SESSION and client.session is not None:
        return _session_key(client)
    if isolation is not Isolation.SHARED:
        return f"principal:{client.principal.id}"
    session = shared.agent.session
    if shared.definition.transport != "http" or session is None or session.modern:
        return None
    return f"principal:{client.principal.id}:{_encode_sorted(_known(client.capabilities)).decode()}"


def _known(declared: Mapping[str, Any]) -> dict[str, Any]:
    """What an upstream is told of a client's capabilities: those that let it ask something, as the schema has them."""
    return {
        name: {variant: form for variant, form in variants.items() if _declares(declared[name], variant, form)}
        for name, variants in _KNOWN.items()
        if isinstance(declared.get(name), Mapping)
    }


def _declares(capability: Mapping[str, Any], variant: str, form: object) -> bool:
    found = capability.get(variant)
    return found is True if form is True else isinstance(found, Mapping)


def _session_key(client: Client) -> str:
    return f"{_SESSION}{client.key}"


def _own(definition: Definition, key: str, principal: str) -> Definition:
    """The same upstream for one client, with the principal's own login where there is such a thing.

    A session's own child may hold state, so only the file stops it when idle.
    """
    idle_stop_s = definition.rules.idle_stop_s
    if not key.startswith(_SESSION):
        idle_stop_s = POOLED_IDLE_S if idle_stop_s is None else idle_stop_s
    rules = replace(definition.rules, lazy=True, idle_stop_s=idle_stop_s, reads_offer=False)
    own = replace(definition, rules=rules, connection=key)
    if definition.personal is None:
        return own
    dial, fallback = definition.personal(principal)
    return replace(own, dial=dial, fallback=fallback)


def _without_room(shared: Kept) -> MCPAgent:
    if shared.definition.isolation is Isolation.SHARED:
        return shared.agent
    name = shared.definition.name
    raise UpstreamBusy(f"upstream {name!r} has no connection left for another client; try again later", server=name)
