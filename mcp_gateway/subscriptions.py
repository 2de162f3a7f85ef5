"""Resource subscriptions: clients of one connection share one for each resource.

A client's wish enters; the upstream hears of the first client and of the last. A
subscription is kept for a connection, not for the agent that keeps the connection just
now: a changed configuration replaces agents, which hand on what they were asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import anyio
import anyio.abc

from mcp_gateway.cache.flight import Flights
from mcp_gateway.call import Client
from mcp_gateway.errors import GatewayError, RpcError, UpstreamUnavailable
from mcp_gateway.upstream.manager import MCPAgentManager

logger = logging.getLogger(__name__)

Line = tuple[str, str | None, str]
"""A resource on one connection: the server, whose connection (`MCPAgent.connection`), the URI there."""


class Subscriptions:
    """Who is subscribed to what. `run` does what nobody waits for, and has to run."""

    def __init__(self, upstreams: MCPAgentManager) -> None:
        self._upstreams = upstreams
        self._subscribers: dict[Line, set[str]] = {}
        self._closing: dict[Line, anyio.Event] = {}
        self._openings: Flights[str, bool] | None = None
        self._group: anyio.abc.TaskGroup | None = None

    def __len__(self) -> int:
        """The lines that somebody is subscribed to."""
        return len(self._subscribers)

    async def run(self) -> None:
        """Open and close subscriptions until cancelled."""
        async with anyio.create_task_group() as group:
            self._group, self._openings = group, Flights(group)
            try:
                await anyio.sleep_forever()
            finally:
                self._group = self._openings = None

    def subscribers(self, server: str, uri: str) -> frozenset[str]:
        """The keys of the clients that subscribed to an upstream's own URI, over whichever connection."""
        lines = (line for line in self._subscribers if line[0] == server and line[2] == uri)
        return frozenset(key for line in lines for key in self._subscribers[line])

    # -- one client's ----------------------------------------------------------------------------------------------

    async def subscribe(self, server: str, uri: str, client: Client) -> None:
        """Returns once the connection is subscribed. Whoever comes meanwhile waits for the same answer.

        Raises:
            RpcError: the upstream refuses.
            UpstreamBusy: the client must have a connection of its own, and there is none left.
            UpstreamUnavailable: the gateway is stopping.
        """
        agent = self._upstreams.agent_for(server, client)
        line = server, agent.connection, uri
        try:
            if uri not in agent.subscribed or self._is_changing(line):
                await self._opened(line, client.key)
        except BaseException:
            self._close_later_if_unused(line)
            raise
        self._subscribers.setdefault(line, set()).add(client.key)

    async def unsubscribe(self, server: str, uri: str, client: Client) -> None:
        """Raises RpcError when the upstream refuses to end it; the client is not subscribed then either."""
        for line in [line for line in self._lines_of(client) if line[0] == server and line[2] == uri]:
            self._leave(line, client)
            if self._is_unused(line):
                await self._close(line, self._mark_closing(line))

    def release(self, client: Client) -> None:
        """The client is gone. Upstreams hear of it later."""
        for line in self._lines_of(client):
            self._leave(line, client)
            self._close_later_if_unused(line)

    def _lines_of(self, client: Client) -> list[Line]:
        return [line for line, keys in self._subscribers.items() if client.key in keys]

    def _leave(self, line: Line, client: Client) -> None:
        self._subscribers[line].discard(client.key)
        if not self._subscribers[line]:
            del self._subscribers[line]

    # -- one connection's ------------------------------------------------------------------------------------------

    def _is_changing(self, line: Line) -> bool:
        return line in self._closing or (self._openings is not None and line in self._openings)

    def _is_unused(self, line: Line) -> bool:
        return line not in self._subscribers and not self._is_changing(line)

    async def _opened(self, line: Line, key: str) -> None:
        """One request for all who wait; it is given up when the last of them has gone."""
        if self._openings is None:
            raise UpstreamUnavailable("the gateway is stopping", server=line[0])
        await self._openings.join(line, key, partial(self._open, line))

    async def _open(self, line: Line, waiting: Sequence[str]) -> bool:
        """An upstream must not hear a beginning before the end that came first."""
        if (closing := self._closing.get(line)) is not None:
            await closing.wait()
        server, connection, uri = line
        if (agent := self._upstreams.agent_of(server, connection)) is None:
            raise UpstreamUnavailable(f"upstream {server!r} has closed the client's connection", server=server)
        await agent.subscribe(uri)
        return True

    def _mark_closing(self, line: Line) -> anyio.Event:
        """From here on nobody takes the line for open."""
        self._closing[line] = anyio.Event()
        return self._closing[line]

    async def _close(self, line: Line, closed: anyio.Event) -> None:
        server, connection, uri = line
        try:
            if (agent := self._upstreams.agent_of(server, connection)) is not None:
                await agent.unsubscribe(uri)
        finally:
            del self._closing[line]
            closed.set()

    def _close_later_if_unused(self, line: Line) -> None:
        server, connection, uri = line
        agent = self._upstreams.agent_of(server, connection)
        if self._group is not None and agent is not None and uri in agent.subscribed and self._is_unused(line):
            self._group.start_soon(self._close_quietly, line, self._mark_closing(line))

    async def _close_quietly(self, line: Line, closed: anyio.Event) -> None:
        try:
            await self._close(line, closed)
        except (GatewayError, RpcError) as failure:
            logger.info("subscriptions.unsubscribe_failed server=%s reason=%s", line[0], type(failure).__name__)
