"""What no specification names: methods and notifications of vendors, and who understands them.

A call without a route enters and goes to whoever knows its method; what a client says
unasked goes to those who may make something of it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from mcp_gateway import bridge
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError, UnknownMethod, UpstreamUnavailable
from mcp_gateway.events import Event, Events, OfferChanged
from mcp_gateway.showcase import Showcase
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.wire import Raw, RawParams

ROOTS_CHANGED: Final = "notifications/roots/list_changed"


class Vendor:
    """Who served which method, until an upstream's offer changes."""

    def __init__(self, upstreams: MCPAgentManager, showcase: Showcase, events: Events) -> None:
        self._upstreams = upstreams
        self._showcase = showcase
        self._owners: dict[str, str] = {}
        events.subscribe(self._hear)

    async def call(self, call: Call) -> Raw:
        """Have whoever knows the method serve it. Asking others first is safe: "not found" did nothing.

        Raises UnknownMethod when no upstream that is ready knows it.
        """
        for server in self._candidates(call):
            agent = self._upstreams.agent_for(server, call.client)
            try:
                raw = await agent.call(lambda link, sink: bridge.relay(link, call, sink), call.sink)
            except RpcError as refused:
                if refused.error["code"] == METHOD_NOT_FOUND:
                    continue
                raise
            except UpstreamUnavailable:
                continue  # it was not reached, so it did nothing
            self._owners[call.method] = server
            return raw
        raise UnknownMethod(call.method)

    async def notify(self, client: Client, method: str, params: RawParams) -> None:
        """Pass on what a legacy client says unasked: changed roots to every legacy upstream it uses, a method that no
        specification names to the upstreams that know the client's vendor. What an upstream makes of it is its own.
        """
        for server in filter(self._showcase.view(client).admits_server, self._hearers(method)):
            link = self._upstreams.agent_for(server, client).link
            if link is not None and not link.session.modern:
                with suppress(GatewayError):
                    await link.dispatcher.notify(method, dict(params))

    def _candidates(self, call: Call) -> list[str]:
        """Of those that the caller may use: whoever is known to serve the method, else all."""
        admitted = list(filter(self._showcase.view(call.client).admits_server, self._ready()))
        owner = self._owners.get(call.method)
        return [owner] if owner in admitted else admitted

    def _hearers(self, method: str) -> list[str]:
        ready = self._ready()
        if method == ROOTS_CHANGED or len(ready) == 1:
            return ready
        return [server for server in ready if server in self._owners.values()]

    def _ready(self) -> list[str]:
        return [agent.name for agent in self._upstreams.agents if agent.link is not None]

    def _hear(self, event: Event) -> None:
        if isinstance(event, OfferChanged):
            self._owners.clear()
