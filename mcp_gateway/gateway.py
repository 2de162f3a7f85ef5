"""`Gateway.route`: the one path of every call.

Whatever door a call came through, it is resolved here to a route, passes the
middleware, and leaves to an upstream or a built-in; the raw result comes back the
same way. Listings come from the catalog and wait for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

from mcp_gateway import bridge
from mcp_gateway.builtin import MCPFunctions
from mcp_gateway.builtin.finder import FINDERS
from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import Catalog, Kind, Route, upstream_params
from mcp_gateway.directory import Directory, Judge, Surface
from mcp_gateway.errors import (
    CallerError,
    GatewayError,
    InvalidRequestState,
    Overloaded,
    RateLimited,
    UnknownName,
    to_tool_result,
)
from mcp_gateway.events import Events
from mcp_gateway.log_levels import LogLevels
from mcp_gateway.middleware import Middleware, chain
from mcp_gateway.observe.trace import at_work
from mcp_gateway.parked_calls import ParkedCalls
from mcp_gateway.resolution import Resolution, text_of
from mcp_gateway.revisions import is_modern
from mcp_gateway.security.policy import check_scope
from mcp_gateway.showcase import Showcase
from mcp_gateway.subscriptions import Subscriptions
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.vendor import Vendor
from mcp_gateway.wire import Raw, RawParams, encode

logger = logging.getLogger(__name__)

LISTINGS: Final[Mapping[str, Kind]] = {
    "tools/list": Kind.TOOL,
    "prompts/list": Kind.PROMPT,
    "resources/list": Kind.RESOURCE,
    "resources/templates/list": Kind.TEMPLATE,
}

_EMPTY = Raw(b"{}")
_NO_COMPLETION = Raw(b'{"completion":{"values":[]}}')


class Gateway:
    """The exchange: every call passes `route`; what it needs on the way has a module of its own."""

    def __init__(
        self,
        upstreams: MCPAgentManager,
        functions: MCPFunctions,
        events: Events,
        surface: Surface,
        finders: MCPFunctions,
        middleware: Sequence[Middleware] = (),
        refused: Callable[[Call, GatewayError], None] = lambda call, failure: None,
        judge: Judge = lambda server, tools: {},
    ) -> None:
        """`finders` run the tools of search mode, which are not in the catalog; `refused` hears of calls that
        lead nowhere and so pass no middleware; `judge` sees what goes into the catalog.
        """
        self.upstreams = upstreams
        self.functions = functions
        self.events = events
        self.showcase = Showcase(surface.show, finders)
        self._directory = Directory(upstreams, functions, events, self.showcase, surface, judge)
        self._resolution = Resolution(self._directory, self.showcase, upstreams)
        self._subscriptions = Subscriptions(upstreams)
        self._log_levels = LogLevels(upstreams)
        self.parked = ParkedCalls()
        self._vendor = Vendor(upstreams, self.showcase, events)
        self._walk = chain(middleware, self._deliver)
        self._refused = refused

    # -- the path of a call --------------------------------------------------------------------------------------

    async def route(self, call: Call, sink: Sink = QUIET) -> Raw:
        """Take one request to whoever serves it and bring back the raw result, in the caller's revision.

        A `tools/call` that fails on the way is a result with `isError` (design, decision 8), also when
        a built-in refuses its arguments (2025-11-25, server/tools: the model can correct them).

        Raises:
            Forbidden: the caller's scopes do not cover the method, whatever it names.
            UnknownName: no such name, or not for this caller.
            InvalidParams: the params lack what the method needs.
            InvalidRequestState: no call waits for the answers that this one brings.
            UnknownMethod: nobody serves the method.
            Overloaded: the gateway is near a limit of its own.
            RateLimited: the caller asks too often, or for too much at once.
            RpcError: an upstream's error, unchanged.
            GatewayError: any other failure, for methods other than `tools/call`.
        """
        call.sink = sink
        with at_work(call.trace):
            return await self._route(call)

    async def _route(self, call: Call) -> Raw:
        self._check_scope(call)
        if (kind := LISTINGS.get(call.method)) is not None:
            return await self._directory.listing(kind, call)
        try:
            call.route = await self._aimed(call)
            return await self._walk(call)
        except (InvalidRequestState, UnknownName, Overloaded, RateLimited):
            raise
        except GatewayError as failure:
            is_about_the_name = call.route is None and isinstance(failure, CallerError)
            if call.method != "tools/call" or is_about_the_name:
                raise
            return self._failed(call, failure)

    def _check_scope(self, call: Call) -> None:
        try:
            check_scope(call.principal, call.method, call.params.get("name"))
        except GatewayError as failure:
            self._refused(call, failure)
            raise

    async def _aimed(self, call: Call) -> Route | None:
        try:
            return await self._resolution.target(call)
        except GatewayError as failure:
            self._refused(call, failure)
            raise

    async def _deliver(self, call: Call) -> Raw:
        """The end of the path: a built-in, or an upstream."""
        if call.method == "logging/setLevel":
            await self._log_levels.set(call.client, text_of(call.params, "level"))
            return _EMPTY
        if call.route is None:
            return await self._vendor.call(call)
        if call.route.server is None:
            functions = self.showcase.finders if call.route.exposed in FINDERS else self.functions
            return bridge.shaped(await functions.call(call), call)
        if call.method in ("resources/subscribe", "resources/unsubscribe"):
            return await self._subscription(call, call.route, call.route.server)
        if call.method == "completion/complete" and not self._completes(call.route.server):
            return bridge.shaped(_NO_COMPLETION, call)
        return await self._relay(call, call.route, call.route.server)

    async def _relay(self, call: Call, route: Route, server: str) -> Raw:
        call.params = upstream_params(call.method, call.params, route)
        if bridge.resumes(call, self._is_modern(server)):
            raw = await self.parked.resume(call)
        else:
            raw = await self._call(call, route, server)
        return self._resolution.owned(server, call.method, raw)

    async def _call(self, call: Call, route: Route, server: str) -> Raw:
        agent = self.upstreams.agent_for(server, call.client)
        tool = route.name if route.kind is Kind.TOOL else ""
        parks = bridge.parks(call, self._is_modern(server))

        async def work(sink: Sink) -> Raw:
            return await agent.call(
                lambda link, way_back: bridge.relay(link, call, way_back),
                sink,
                deadline_s=call.deadline_s,
                tool=tool,
                counts_questions=not parks,
            )

        return await (self.parked.call(call, work) if parks else work(call.sink))

    def _is_modern(self, server: str) -> bool:
        """By the handshake; before the first one, by what is known from an earlier process."""
        session, offer = self.upstreams.agent(server).session, self.upstreams.offers.get(server)
        revision = session.revision if session is not None else offer.revision if offer is not None else None
        return revision is not None and is_modern(revision)

    async def _subscription(self, call: Call, route: Route, server: str) -> Raw:
        change = (
            self._subscriptions.subscribe if call.method == "resources/subscribe" else self._subscriptions.unsubscribe
        )
        await change(server, route.name, call.client)
        return _EMPTY

    def _completes(self, server: str) -> bool:
        offer = self.upstreams.offers.get(server)
        return offer is not None and "completions" in offer.capabilities

    def _failed(self, call: Call, failure: GatewayError) -> Raw:
        logger.info("call.failed server=%s code=%s", failure.server, failure.code)
        return bridge.shaped(Raw(encode(to_tool_result(failure))), call)

    # -- clients ---------------------------------------------------------------------------------------------------

    async def notify(self, client: Client, method: str, params: RawParams) -> None:
        """Pass on what a legacy client says unasked (see `Vendor.notify`). Raises Forbidden."""
        check_scope(client.principal, method)
        await self._vendor.notify(client, method, params)

    def subscribers(self, server: str, uri: str) -> tuple[str, frozenset[str]]:
        """For an upstream's own URI: the URI clients know, and the keys of the clients that subscribed to it."""
        return self.catalog.exposed_uri(server, uri), self._subscriptions.subscribers(server, uri)

    def log_level(self, client: Client) -> str | None:
        """The level a legacy session set, None when it set none."""
        return self._log_levels.of(client)

    def sees(self, client: Client, server: str) -> bool:
        """Whether the server belongs to what the client may use."""
        return self.showcase.view(client).admits_server(server)

    def hides(self, client: Client, uri: str) -> bool:
        """Whether the resource is there, and not for this client."""
        return self._resolution.hides(client, uri)

    def release(self, client: Client) -> None:
        """A client's session has ended: whatever it had to itself is given back. Upstreams hear of it later."""
        self.upstreams.release(client)
        self._log_levels.release(client)
        self._subscriptions.release(client)

    # -- the directory ---------------------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """The merged view as of now."""
        return self._directory.catalog

    async def settled(self) -> None:
        """Wait for servers never heard of yet (see `Directory.settled`)."""
        await self._directory.settled()

    def configure(self, surface: Surface) -> None:
        """Take over changed rules about names and schemas, and about who is shown what."""
        self._directory.configure(surface)

    def judge_again(self) -> None:
        """Other tools may be trusted now than were before."""
        self._directory.judge_again()

    def judge_all(self) -> None:
        """Have a verdict on everything that is offered by now: the catalog asks for it when it is built."""
        _ = self.catalog

    async def run(self) -> None:
        """Announce changes of the catalog, and tell upstreams what nobody waits for, until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._subscriptions.run)
            group.start_soon(self.parked.run)
            group.start_soon(self._log_levels.run)
            group.start_soon(self._directory.run)
