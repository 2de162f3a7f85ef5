"""The door for a command of our own: no wire, and patience with servers that are still starting.

A tool's name and its arguments enter, a decoded result leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import anyio

from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import Kind
from mcp_gateway.events import Event, OfferChanged, ServerStateChanged
from mcp_gateway.gateway import Gateway
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.wire import loads


class CommandLine:
    """One command's way in, in the process of the gateway itself."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._heard = anyio.Event()

    def hear(self, event: Event) -> None:
        """An event listener."""
        if isinstance(event, OfferChanged | ServerStateChanged):
            self.notice()

    def notice(self) -> None:
        """Something else is offered than before."""
        self._heard.set()
        self._heard = anyio.Event()

    async def known(self, tool: str, within_s: float) -> bool:
        """Whether there is such a tool; waits while a server that never told what it offers may still bring it."""
        with anyio.move_on_after(within_s):
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_settled, group.cancel_scope)
                while self._gateway.catalog.find(Kind.TOOL, tool) is None:
                    await self._heard.wait()
                group.cancel_scope.cancel()
        return self._gateway.catalog.find(Kind.TOOL, tool) is not None

    async def tried(self, within_s: float, concerned: Callable[[str], bool]) -> None:
        """Wait until no upstream that is `concerned` is being connected for the first time any more."""
        with anyio.move_on_after(within_s):
            while self.trying(concerned):
                await self._heard.wait()

    def trying(self, concerned: Callable[[str], bool]) -> list[str]:
        """The upstreams that are neither ready nor have failed once."""
        return [
            agent.name
            for agent in self._gateway.upstreams.agents
            if concerned(agent.name) and agent.state is State.CONNECTING and not agent.failures
        ]

    async def call_tool(
        self, tool: str, arguments: Mapping[str, Any], deadline_s: float | None, sink: Sink = QUIET
    ) -> dict[str, Any]:
        """Call one tool; the sink hears of its progress. Raises GatewayError, RpcError."""
        client = Client(key="command-line", revision=LATEST_LEGACY, door="command line")
        call = Call("tools/call", {"name": tool, "arguments": arguments}, client, deadline_s=deadline_s)
        result: dict[str, Any] = loads(await self._gateway.route(call, sink))
        return result

    async def _until_settled(self, waiting: anyio.CancelScope) -> None:
        await self._gateway.upstreams.settled(math.inf)
        await self._gateway.functions.settled()
        waiting.cancel()
