"""`MCPAgentManager`: all upstream connections, side by side.

It starts, replaces and stops agents, and keeps the last good offer of every upstream
while its connection comes and goes. It knows no names and no routes: those are the
catalog's; which connection a client's call may use is the pool's business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import anyio
import anyio.abc

from mcp_gateway.call import Client
from mcp_gateway.catalog.offer import Offer, Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.errors import UnknownName
from mcp_gateway.events import Events, LogMessage, OfferChanged, ResourceUpdated, ServerStateChanged
from mcp_gateway.observe.trace import apart
from mcp_gateway.revisions import is_modern
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.kept import Kept
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.listing import offered_kinds
from mcp_gateway.upstream.offer_reader import LIST_CHANGED
from mcp_gateway.upstream.pool import MAX_POOLED, Pool
from mcp_gateway.upstream.session import Session
from mcp_gateway.wire import Malformed, Raw, RawParams, loads

logger = logging.getLogger(__name__)

UNION: Mapping[str, Any] = {
    "roots": {"listChanged": True},
    "sampling": {},
    "elicitation": {"form": {}, "url": {}},
}
"""What a shared connection declares: everything some client may be able to do (design, decision 6)."""

_UNSETTLED = frozenset({State.CONNECTING, State.IDLE})


class MCPAgentManager:
    """Every upstream's agent, and the pool of connections that clients have to themselves."""

    def __init__(
        self, events: Events, eras: EraBook, saved: Mapping[str, Offer], *, max_pooled: int = MAX_POOLED
    ) -> None:
        """`saved` are the offers of an earlier process; each serves until its upstream tells a new one."""
        self.offers: dict[str, Offer] = dict(saved)
        self.has_saved_offers = bool(saved)
        self._events = events
        self._eras = eras
        self._order: list[str] = []
        self._shared: dict[str, Kept] = {}
        self._pool = Pool(self._start, max_pooled)
        self._disabled: dict[str, str] = {}
        self._log_level: str | None = None
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
        disabled, self._disabled = (
            self._disabled,
            {name: item.disabled for name, item in wanted.items() if item.disabled is not None},
        )
        self._order = list(wanted)
        ended = [kept for name, kept in self._shared.items() if not _goes_on(kept.definition, wanted.get(name))]
        for kept in ended:
            self._end(kept, wanted.get(kept.definition.name))
        self.offers = {name: self.offers[name] for name in wanted if name in self.offers and name not in self._disabled}
        for name, definition in wanted.items():
            if name not in self._shared and definition.disabled is None:
                self._shared[name] = self._start(self._known(definition), UNION)
        for kept in ended:
            self._succeed(kept)
        for name in self._disabled.keys() - disabled.keys():
            self._events.publish(ServerStateChanged(name, State.DISABLED, self._disabled[name]))
        self._notice()

    def _known(self, definition: Definition) -> Definition:
        """A lazy upstream of which no offer is known has to be asked for it once."""
        if definition.name in self.offers:
            return definition
        return replace(definition, rules=replace(definition.rules, lazy=False))

    def _end(self, kept: Kept, wanted: Definition | None) -> None:
        name = kept.definition.name
        del self._shared[name]
        kept.end()
        if wanted is None or wanted.fingerprint != kept.definition.fingerprint:
            self.offers.pop(name, None)

    def _succeed(self, old: Kept) -> None:
        """The connections of an upstream that has ended: they go on with its successor, or they end too."""
        name = old.definition.name
        if (successor := self._shared.get(name)) is None:
            self._pool.end(name)
        else:
            successor.agent.take_over(old.agent)
            self._pool.renew(successor)

    def _start(self, definition: Definition, capabilities: Mapping[str, Any]) -> Kept:
        assert self._group is not None, "the manager runs"
        memory = self._eras.entry(definition.fingerprint)
        agent = MCPAgent(definition, watcher=self, memory=memory, capabilities=capabilities)
        agent.wishes.log_level = self._log_level
        kept = Kept(definition, agent)
        with apart():
            self._group.start_soon(kept.run, name=f"upstream {definition.name}")
        return kept

    # -- whose connection ----------------------------------------------------------------------------------------

    def agent(self, server: str) -> MCPAgent:
        """The agent that owns an upstream's offer. Raises UnknownName."""
        return self._kept(server).agent

    def agent_for(self, server: str, client: Client) -> MCPAgent:
        """The agent whose connection this client's calls use (design, decision 6). Raises UnknownName, UpstreamBusy."""
        return self._pool.agent_for(self._kept(server), client)

    def agent_of(self, server: str, connection: str | None) -> MCPAgent | None:
        """Who keeps a connection (`MCPAgent.connection`) just now; None when nobody does."""
        if connection is not None:
            return self._pool.find(server, connection)
        kept = self._shared.get(server)
        return None if kept is None else kept.agent

    def release(self, client: Client) -> None:
        """The client's session has ended: what it had to itself is closed."""
        self._pool.release(client)

    def dismiss(self, admitted: Callable[[str], bool]) -> None:
        """Principals that are not `admitted` any more lose what they had to themselves."""
        self._pool.dismiss(admitted)

    def login_changed(self, server: str, principal: str | None) -> None:
        """Replace the connections that use a login: one principal's own, or (None) everybody's. Raises UnknownName."""
        kept = self._kept(server)
        if principal is not None:
            self._pool.renew(kept, principal)
        elif kept.definition.personal is not None:
            kept.agent.reconnect()
        else:
            self.reconnect(server)

    def reconnect(self, server: str) -> None:
        """Replace every connection to an upstream at once. Raises UnknownName."""
        kept = self._kept(server)
        self._pool.renew(kept)
        kept.agent.reconnect()

    async def set_log_level(self, level: str) -> None:
        """The mildest level any client wants: told to every connection, and to those to come."""
        self._log_level = level
        async with anyio.create_task_group() as group:
            for agent in self.connections:
                group.start_soon(agent.set_log_level, level)

    def _kept(self, server: str) -> Kept:
        kept = self._shared.get(server)
        if kept is None:
            raise UnknownName("server", server)
        return kept

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
    def connections(self) -> tuple[MCPAgent, ...]:
        """Every agent there is: those of `agents`, and those that clients have to themselves."""
        return (*self.agents, *self._pool)

    @property
    def disabled(self) -> Mapping[str, str]:
        """Disabled upstreams, and why."""
        return self._disabled

    def definition(self, server: str) -> Definition:
        return self._shared[server].definition

    def is_modern(self, server: str) -> bool:
        """Whether its offer is known, and of a modern revision."""
        offer = self.offers.get(server)
        return offer is not None and is_modern(offer.revision)

    def in_order(self) -> tuple[Offer, ...]:
        """The known offers in the order of the file, which settles collisions."""
        return tuple(self.offers[name] for name in self._order if name in self.offers)

    async def settled(self, within_s: float, concerned: Callable[[str], bool] = lambda server: True) -> None:
        """Wait until every upstream that is `concerned` has an offer or has failed once, at most `within_s` seconds."""
        with anyio.move_on_after(within_s):
            while any(concerned(name) and self._is_unsettled(kept) for name, kept in self._shared.items()):
                await self._changed.wait()

    def _is_unsettled(self, kept: Kept) -> bool:
        agent = kept.agent
        if agent.name in self.offers:
            return False
        return agent.state in _UNSETTLED and not agent.failures

    # -- what agents report (the Watcher protocol) -----------------------------------------------------------------

    def state_changed(self, agent: MCPAgent) -> None:
        if self._is_shared(agent):
            self._events.publish(ServerStateChanged(agent.name, agent.state, agent.reason))
        elif agent.state is State.IDLE and not agent.slots.in_flight:
            self._pool.forget(agent)
        self._notice()

    def offer_read(self, agent: MCPAgent, session: Session, parts: Mapping[Kind, Part]) -> None:
        """Kinds that were not read, now or for want of an answer, keep their last good part while they are promised."""
        if not self._is_shared(agent):
            return
        promised = offered_kinds(session)
        old = self.offers.get(agent.name)
        known = {part.kind: part for part in old.parts if part.kind in promised} if old is not None else {}
        known.update(parts)
        self.offers[agent.name] = Offer(
            server=agent.name,
            revision=session.revision,
            parts=tuple(known[kind] for kind in promised if kind in known),
            capabilities=session.capabilities,
            instructions=session.instructions,
            server_info=session.server_info,
        )
        self._events.publish(OfferChanged(agent.name))
        self._notice()

    def notified(self, agent: MCPAgent, method: str, params: RawParams) -> None:
        if method in LIST_CHANGED and agent.name in self._shared:
            self._shared[agent.name].agent.offer_changed(method)
        elif method == "notifications/resources/updated" and isinstance(uri := _plain(params.get("uri")), str):
            self._events.publish(ResourceUpdated(agent.name, uri))
        elif method == "notifications/message":
            self._events.publish(LogMessage(agent.name, params, self._pool.session_of(agent)))
        else:
            logger.debug("upstream.notification_dropped name=%s method=%s", agent.name, method)

    def _is_shared(self, agent: MCPAgent) -> bool:
        kept = self._shared.get(agent.name)
        return kept is not None and kept.agent is agent

    def _notice(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _goes_on(definition: Definition, wanted: Definition | None) -> bool:
    """Whether nothing has changed that a connection is made and kept by."""
    return wanted is not None and wanted.disabled is None and wanted.settings == definition.settings


def _plain(value: Any) -> Any:
    """A param as plain data; None when it is not valid JSON."""
    if not isinstance(value, Raw):
        return value
    try:
        return loads(value)
    except Malformed:
        return None
