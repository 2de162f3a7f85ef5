"""`MCPAgentManager`: all upstream connections, side by side.

It starts, replaces and stops agents, decides whose connection a call may use, and
keeps the last good offer of every upstream, on disk too. It knows no names and no
routes: those are the catalog's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import anyio
import anyio.abc

from mcp_gateway.call import Client
from mcp_gateway.catalog.offer import Offer, Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.errors import UnknownName
from mcp_gateway.events import Events, LogMessage, OfferChanged, ResourceUpdated, ServerStateChanged
from mcp_gateway.security.principal import Principal
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.definition import Definition, Isolation
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.session import Session
from mcp_gateway.wire import Malformed, Raw, RawParams, encode, loads

logger = logging.getLogger(__name__)

UNION: Mapping[str, Any] = {
    "roots": {"listChanged": True},
    "sampling": {},
    "elicitation": {"form": {}, "url": {}},
}
"""What a shared connection declares: everything some client may be able to do (design, decision 6)."""

POOLED_IDLE_S = 300.0
"""A client's own connection is given up after this long without a call (our choice)."""

MAX_POOLED = 1_000
"""Connections of clients' own over all upstreams; past that the shared one serves (our choice)."""

_UNSETTLED = frozenset({State.CONNECTING, State.IDLE})


@dataclass(slots=True)
class _Kept:
    """An agent with the scope that ends its task."""

    definition: Definition
    agent: MCPAgent
    scope: anyio.CancelScope


class MCPAgentManager:
    """Every upstream's agent, and the pool of connections that clients have to themselves."""

    def __init__(self, events: Events, eras: EraBook, saved: Mapping[str, Offer]) -> None:
        self.offers: dict[str, Offer] = dict(saved)
        self.has_saved_offers = bool(saved)
        self._events = events
        self._eras = eras
        self._order: list[str] = []
        self._shared: dict[str, _Kept] = {}
        self._pooled: dict[tuple[str, str], _Kept] = {}
        self._disabled: dict[str, str] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._changed = anyio.Event()

    # -- life ----------------------------------------------------------------------------------------------------

    async def run(self, definitions: Iterable[Definition], *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Keep all upstreams until cancelled; started at once, whatever they do."""
        async with anyio.create_task_group() as group:
            self._group = group
            self.apply(definitions)
            task_status.started()
            await anyio.sleep_forever()

    def apply(self, definitions: Iterable[Definition]) -> None:
        """Make these the upstreams: new ones start, changed ones are replaced, missing ones end; others go on."""
        wanted = {definition.name: definition for definition in definitions}
        self._order = list(wanted)
        self._disabled = {name: item.disabled for name, item in wanted.items() if item.disabled is not None}
        for name, kept in list(self._shared.items()):
            definition = wanted.get(name)
            if definition is None or definition.disabled or definition.settings != kept.definition.settings:
                self._end(name)
                if definition is None or definition.fingerprint != kept.definition.fingerprint:
                    self.offers.pop(name, None)
        self.offers = {name: self.offers[name] for name in wanted if name in self.offers and name not in self._disabled}
        for name, definition in wanted.items():
            if name not in self._shared and definition.disabled is None:
                self._shared[name] = self._start(self._known(definition), UNION)

    def _known(self, definition: Definition) -> Definition:
        """A lazy upstream of which no offer is known has to be asked for it once."""
        if definition.name in self.offers:
            return definition
        return replace(definition, rules=replace(definition.rules, lazy=False))

    def _end(self, name: str) -> None:
        self._shared.pop(name).scope.cancel()
        for key in [key for key in self._pooled if key[0] == name]:
            self._pooled.pop(key).scope.cancel()

    def _start(self, definition: Definition, capabilities: Mapping[str, Any]) -> _Kept:
        assert self._group is not None, "the manager runs"
        assert definition.dial is not None, "only enabled upstreams are started"
        agent = MCPAgent(
            definition.name,
            definition.rules,
            definition.dial,
            fallback=definition.fallback,
            watcher=self,
            memory=self._eras.entry(definition.fingerprint),
            capabilities=capabilities,
        )
        kept = _Kept(definition, agent, anyio.CancelScope())
        self._group.start_soon(self._keep, kept, name=f"upstream {definition.name}")
        return kept

    async def _keep(self, kept: _Kept) -> None:
        with kept.scope:
            await kept.agent.run()

    # -- whose connection ----------------------------------------------------------------------------------------

    def agent(self, server: str) -> MCPAgent:
        """The agent that owns an upstream's offer. Raises UnknownName."""
        kept = self._shared.get(server)
        if kept is None:
            raise UnknownName("server", server)
        return kept.agent

    def agent_for(self, server: str, client: Client, principal: Principal) -> MCPAgent:
        """The agent whose connection this client's calls use (design, decision 6).

        Three cases: 1. a connection of one's own where the file says so; 2. a legacy HTTP upstream:
        one per principal and set of capabilities, so that it never asks what the client cannot answer;
        3. the shared one. Raises UnknownName.
        """
        kept = self._shared.get(server)
        if kept is None:
            raise UnknownName("server", server)
        key = _pool_key(kept, client, principal)
        if key is None:
            return kept.agent
        own = self._pooled.get((server, key))
        if own is None:
            if len(self._pooled) >= MAX_POOLED:
                return kept.agent
            own = self._start(_pooled(kept.definition), client.capabilities)
            self._pooled[server, key] = own
        return own.agent

    def release(self, client: Client) -> None:
        """The client's session has ended: what it had to itself is closed."""
        for key in [key for key in self._pooled if key[1] == f"session:{client.key}"]:
            self._pooled.pop(key).scope.cancel()

    # -- the view over all ---------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Every configured upstream, in the order of the file."""
        return tuple(self._order)

    @property
    def agents(self) -> tuple[MCPAgent, ...]:
        """The agents of enabled upstreams, in the order of the file."""
        return tuple(self._shared[name].agent for name in self._order if name in self._shared)

    @property
    def disabled(self) -> Mapping[str, str]:
        """Disabled upstreams, and why."""
        return self._disabled

    def definition(self, server: str) -> Definition:
        return self._shared[server].definition

    def in_order(self) -> tuple[Offer, ...]:
        """The known offers in the order of the file, which settles collisions."""
        return tuple(self.offers[name] for name in self._order if name in self.offers)

    async def settled(self, within_s: float, concerned: Callable[[str], bool] = lambda server: True) -> None:
        """Wait until every upstream that is `concerned` has an offer or has failed once, at most `within_s` seconds."""
        with anyio.move_on_after(within_s):
            while any(concerned(name) and self._is_unsettled(kept) for name, kept in self._shared.items()):
                await self._changed.wait()

    def _is_unsettled(self, kept: _Kept) -> bool:
        agent = kept.agent
        if agent.name in self.offers:
            return False
        return agent.state in _UNSETTLED and not agent.failures

    # -- what agents report (the Watcher protocol) -----------------------------------------------------------------

    def state_changed(self, agent: MCPAgent) -> None:
        if self._is_shared(agent):
            self._events.publish(ServerStateChanged(agent.name, agent.state, agent.reason))
        elif agent.state is State.IDLE and not agent.slots.in_flight:
            self._forget(agent)
        self._notice()

    def offer_read(self, agent: MCPAgent, session: Session, parts: Mapping[Kind, Part]) -> None:
        # On a new connection everything promised was read; later only what changed.
        old = self.offers.get(agent.name) if agent.link is not None else None
        kept = {part.kind: part for part in old.parts} if old is not None else {}
        self.offers[agent.name] = Offer(
            server=agent.name,
            revision=session.revision,
            parts=tuple({**kept, **parts}.values()),
            capabilities=session.capabilities,
            instructions=session.instructions,
            server_info=session.server_info,
        )
        self._events.publish(OfferChanged(agent.name))
        self._notice()

    def notified(self, agent: MCPAgent, method: str, params: RawParams) -> None:
        if method == "notifications/resources/updated" and isinstance(uri := _plain(params.get("uri")), str):
            self._events.publish(ResourceUpdated(agent.name, uri))
        elif method == "notifications/message":
            self._events.publish(LogMessage(agent.name, params))
        else:
            logger.debug("upstream.notification_dropped name=%s method=%s", agent.name, method)

    def _is_shared(self, agent: MCPAgent) -> bool:
        kept = self._shared.get(agent.name)
        return kept is not None and kept.agent is agent

    def _forget(self, agent: MCPAgent) -> None:
        for key, kept in list(self._pooled.items()):
            if kept.agent is agent:
                self._pooled.pop(key).scope.cancel()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _pool_key(kept: _Kept, client: Client, principal: Principal) -> str | None:
    """What a client shares its connection by; None when with everybody."""
    isolation = kept.definition.isolation
    if isolation is Isolation.USER or (isolation is Isolation.SESSION and client.session is None):
        return f"principal:{principal.id}"
    if isolation is Isolation.SESSION:
        return f"session:{client.key}"
    link = kept.agent.link
    if kept.definition.transport != "http" or link is None or link.session.modern:
        return None
    return f"principal:{principal.id}:{encode(sorted(client.capabilities)).decode()}"


def _pooled(definition: Definition) -> Definition:
    """The same upstream for one client: started by its first call, stopped when unused, never listed."""
    rules = replace(definition.rules, lazy=True, idle_stop_s=POOLED_IDLE_S, reads_offer=False)
    return replace(definition, rules=rules)


def _plain(value: Any) -> Any:
    """A param as plain data; None when it is not valid JSON."""
    if not isinstance(value, Raw):
        return value
    try:
        return loads(value)
    except Malformed:
        return None
