"""`Gateway.route`: the one path of every call.

Whatever door a call came through, it is resolved here to a route, passes the
middleware, and leaves to an upstream or a built-in; the raw result comes back the
same way. Listings come from the catalog and wait for nobody.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import anyio
import anyio.abc

from mcp_gateway import bridge
from mcp_gateway.builtin import MCPFunctions
from mcp_gateway.builtin.finder import FINDERS, READ_TOOL, SURFACE, reads_only, unwrap
from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import (
    Catalog,
    ExposeRules,
    Kind,
    Offer,
    Route,
    SeenUris,
    ServerRules,
    View,
    check_cursor,
    diff,
    result_uris,
    upstream_params,
)
from mcp_gateway.errors import (
    METHOD_NOT_FOUND,
    CallerError,
    GatewayError,
    InvalidParams,
    RateLimited,
    RpcError,
    UnknownMethod,
    UnknownName,
    UpstreamUnavailable,
    to_tool_result,
)
from mcp_gateway.events import CatalogChanged, Event, Events, OfferChanged
from mcp_gateway.middleware import Middleware, chain
from mcp_gateway.observe.trace import at_work
from mcp_gateway.revisions import LOG_LEVELS
from mcp_gateway.security.pins import Offered
from mcp_gateway.security.policy import check_scope
from mcp_gateway.showcase import Showcase, ShowRules
from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.upstream.session import Link
from mcp_gateway.wire import Malformed, Raw, RawParams, encode, fields, loads

logger = logging.getLogger(__name__)

LISTINGS: Final[Mapping[str, Kind]] = {
    "tools/list": Kind.TOOL,
    "prompts/list": Kind.PROMPT,
    "resources/list": Kind.RESOURCE,
    "resources/templates/list": Kind.TEMPLATE,
}

ROOTS_CHANGED: Final = "notifications/roots/list_changed"

FIRST_LISTING_WAIT_S = 3.0
"""How long the first listing of a process waits for servers that are neither ready nor failed (design, decision 3)."""

FIRST_CALL_WAIT_S = 30.0
"""How long a call to a server that is still starting waits, when the caller sets no deadline (`startup_timeout`)."""

CATALOG_DEBOUNCE_S = 0.1
"""Changes of the merged view within this time are announced once (protocol facts, section 3: about 100 ms)."""

LEVEL_WITHIN_S = 1.0
"""How long setting a log level waits for upstreams to have heard of it; a slow one hears later (our choice)."""

Subscription = tuple[MCPAgent, str]
"""A resource on one connection: whose it is, and its URI there."""

Judge = Callable[[str, Iterable[Offered]], Mapping[str, str]]
"""A server and its tools -> those that are not to be offered, and why."""

_EMPTY = Raw(b"{}")
_NO_COMPLETION = Raw(b'{"completion":{"values":[]}}')


@dataclass(frozen=True, slots=True)
class Surface:
    """What the configuration says of names and schemas, and of who is shown what."""

    expose: ExposeRules = field(default_factory=ExposeRules)
    show: ShowRules = field(default_factory=ShowRules)
    servers: Mapping[str, ServerRules] = field(default_factory=dict)


class Gateway:
    """The exchange: the directory of names, the house rules, the lines."""

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
        self._surface = surface
        self._judge = judge
        self._walk = chain(middleware, self._deliver)
        self._refused = refused
        self._seen = SeenUris()
        self._catalog = Catalog.build((), builtins=functions.definitions)
        self._announced = self._catalog
        self._announced_show = surface.show
        self._stale = True
        self._offers_changed = anyio.Event()
        self._subscribers: dict[Subscription, set[str]] = {}
        self._log_levels: dict[str, str] = {}
        self._vendor_owners: dict[str, str] = {}
        self._chores: anyio.abc.TaskGroup | None = None
        self._listed_first_s: float | None = None
        events.subscribe(self._hear)

    # -- the path of a call --------------------------------------------------------------------------------------

    async def route(self, call: Call, sink: Sink = QUIET) -> Raw:
        """Take one request to whoever serves it and bring back the raw result, in the caller's revision.

        A `tools/call` that fails on the way is a result with `isError` (design, decision 8), also when
        a built-in refuses its arguments (2025-11-25, server/tools: the model can correct them).

        Raises:
            Forbidden: the caller's scopes do not cover the method, whatever it names.
            UnknownName: no such name, or not for this caller.
            InvalidParams: the params lack what the method needs.
            UnknownMethod: nobody serves the method.
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
            return await self.listing(kind, call)
        try:
            call.route = await self._aimed(call)
            return await self._walk(call)
        except (UnknownName, RateLimited):
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
            return await self._target(call)
        except GatewayError as failure:
            self._refused(call, failure)
            raise

    async def _target(self, call: Call) -> Route | None:
        """Where the call leads; one that stands for another becomes the other. Raises UnknownName, InvalidParams."""
        delegate = unwrap(call)
        if delegate is None:
            return await self._resolve_in_time(call)
        if call.params["name"] in SURFACE:
            raise self._unknown(Kind.TOOL, call.params["name"], self.showcase.view(call.client))
        route = await self._resolve_in_time(call)
        if delegate == READ_TOOL and route is not None and not reads_only(self.catalog, route.exposed):
            raise InvalidParams(f"{route.exposed} does not say that it only reads; use call_tool")
        return route

    async def _resolve_in_time(self, call: Call) -> Route | None:
        """As `_resolve`; a name that a server never heard of so far may bring is waited for (design, decision 3)."""
        with suppress(UnknownName):
            return self._resolve(call)
        name = call.params.get("name")
        if name is None:
            await self.settled()
        else:
            limit_s = FIRST_CALL_WAIT_S if call.deadline_s is None else call.deadline_s
            prefixes, text = self.catalog.prefixes, _text(call.params, "name")
            await self.upstreams.settled(limit_s, lambda server: text.startswith(prefixes.get(server, "")))
            await self._until_heard_of(text, limit_s, self.showcase.view(call.client))
        return self._resolve(call)

    async def _until_heard_of(self, name: str, limit_s: float, view: View) -> None:
        """A name that only a server can bring which never told what it offers: raises why it does not answer."""
        for server, prefix in self.catalog.prefixes.items():
            if server in self.upstreams.offers or not name.startswith(f"{prefix}__"):
                continue
            if not view(Route(Kind.TOOL, server, name, name)):
                continue
            if (reason := self.upstreams.disabled.get(server)) is not None:
                raise UpstreamUnavailable(f"upstream {server!r} is disabled: {reason}", server=server)
            await self.upstreams.agent(server).call(_nothing, deadline_s=limit_s)

    def _resolve(self, call: Call) -> Route | None:
        """The route of the call's target; None for methods that name none. Raises UnknownName, InvalidParams."""
        view = self.showcase.view(call.client)
        match call.method:
            case "tools/call":
                return _finder(call.params) or self._named(Kind.TOOL, call.params, view)
            case "prompts/get":
                return self._named(Kind.PROMPT, call.params, view)
            case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
                return self._owner(_text(call.params, "uri"), view)
            case "completion/complete":
                return self._reference(call.params, view)
        return None

    def _named(self, kind: Kind, params: RawParams, view: View) -> Route:
        name = _text(params, "name")
        route = self.catalog.find(kind, name)
        if route is None or not view(route):
            raise self._unknown(kind, name, view)
        return route

    def _unknown(self, kind: Kind, name: str, view: View) -> UnknownName:
        return UnknownName(kind, name, nearest=self.catalog.nearest(kind, name, view))

    def _owner(self, uri: str, view: View) -> Route:
        route = self.catalog.owner(uri, self._seen)
        if route is None or not view(route):
            raise UnknownName(Kind.RESOURCE, uri)
        return route

    def _reference(self, params: RawParams, view: View) -> Route:
        try:
            reference = fields(encode(params.get("ref")))
        except Malformed:
            raise InvalidParams("completion/complete needs a ref object") from None
        if loads(reference.get("type", b'""')) == "ref/prompt":
            return self._named(Kind.PROMPT, dict(reference), view)
        uri = _text(dict(reference), "uri")
        template = self.catalog.find(Kind.TEMPLATE, uri)
        return template if template is not None and view(template) else self._owner(uri, view)

    async def _deliver(self, call: Call) -> Raw:
        """The end of the path: a built-in, or an upstream."""
        if call.method == "logging/setLevel":
            return await self._set_log_level(call)
        if call.route is None:
            return await self._vendor(call)
        if call.route.server is None:
            functions = self.showcase.finders if call.route.exposed in FINDERS else self.functions
            return bridge.shaped(await functions.call(call), call)
        if call.method in ("resources/subscribe", "resources/unsubscribe"):
            return await self._subscription(call)
        if call.method == "completion/complete" and not self._completes(call.route.server):
            return bridge.shaped(_NO_COMPLETION, call)
        return await self._relay(call, call.route, call.route.server)

    async def _relay(self, call: Call, route: Route, server: str) -> Raw:
        call.params = upstream_params(call.method, call.params, route)
        agent = self.upstreams.agent_for(server, call.client)
        tool = route.name if route.kind is Kind.TOOL else ""
        raw = await agent.call(
            lambda link, sink: bridge.relay(link, call, sink), call.sink, deadline_s=call.deadline_s, tool=tool
        )
        return self._owned(server, call.method, raw)

    def _owned(self, server: str, method: str, raw: Raw) -> Raw:
        """The result with its URIs as clients know them; URIs seen for the first time get an owner."""
        raw = self.catalog.rewrite_uris(server, method, raw)
        for uri in result_uris(method, raw):
            if self.catalog.owner(uri) is None:
                self._seen.add(server, uri)
        return raw

    def _failed(self, call: Call, failure: GatewayError) -> Raw:
        logger.info("call.failed server=%s code=%s", failure.server, failure.code)
        return bridge.shaped(Raw(encode(to_tool_result(failure))), call)

    # -- methods that belong to no single name -------------------------------------------------------------------

    async def _vendor(self, call: Call) -> Raw:
        """A method no specification names: whoever knows it. Asking others first is safe: "not found" did nothing.

        Raises UnknownMethod when no upstream that is ready knows it.
        """
        owner = self._vendor_owners.get(call.method)
        candidates = [owner] if owner is not None else [agent.name for agent in self.upstreams.agents if agent.link]
        for server in filter(self.showcase.view(call.client).admits_server, candidates):
            agent = self.upstreams.agent_for(server, call.client)
            try:
                raw = await agent.call(lambda link, sink: bridge.relay(link, call, sink), call.sink)
            except RpcError as refused:
                if refused.error["code"] == METHOD_NOT_FOUND:
                    continue
                raise
            except UpstreamUnavailable:
                continue  # it was not reached, so it did nothing
            self._vendor_owners[call.method] = server
            return raw
        raise UnknownMethod(call.method)

    async def notify(self, client: Client, method: str, params: RawParams) -> None:
        """Pass on what a legacy client says unasked: changed roots to every legacy upstream it uses, a method that no
        specification names to the upstreams that know the client's vendor. What an upstream makes of it is its own.
        """
        for server in self._hearers(method):
            if not self.sees(client, server):
                continue
            link = self.upstreams.agent_for(server, client).link
            if link is not None and not link.session.modern:
                with suppress(GatewayError):
                    await link.dispatcher.notify(method, dict(params))

    def _hearers(self, method: str) -> list[str]:
        ready = [agent.name for agent in self.upstreams.agents if agent.link is not None]
        if method == ROOTS_CHANGED or len(ready) == 1:
            return ready
        return [server for server in ready if server in self._vendor_owners.values()]

    async def _subscription(self, call: Call) -> Raw:
        """Clients of one connection share a subscription per resource: the first opens it, the last ends it."""
        route, server = call.route, call.route.server if call.route else None
        assert route is not None
        assert server is not None, "built-ins have no resources"
        line = self.upstreams.agent_for(server, call.client), route.name
        if call.method == "resources/unsubscribe":
            await self._unsubscribe(line, call.client.key)
            return _EMPTY
        subscribers = self._subscribers.setdefault(line, set())
        subscribers.add(call.client.key)
        if len(subscribers) == 1:
            await self._open_subscription(line)
        return _EMPTY

    async def _open_subscription(self, line: Subscription) -> None:
        """Raises what the upstream refuses it with; nobody is subscribed then."""
        agent, uri = line
        try:
            await agent.subscribe(uri)
        except BaseException:
            agent.subscribed.discard(uri)
            self._subscribers.pop(line, None)
            raise

    async def _unsubscribe(self, line: Subscription, key: str) -> None:
        subscribers = self._subscribers.get(line, set())
        subscribers.discard(key)
        if not subscribers and self._subscribers.pop(line, None) is not None:
            agent, uri = line
            await agent.unsubscribe(uri)

    def subscribers(self, server: str, uri: str) -> tuple[str, frozenset[str]]:
        """For an upstream's own URI: the URI clients know, and the keys of the clients that subscribed to it."""
        keys = {
            key
            for (agent, subscribed), keys in self._subscribers.items()
            if agent.name == server and subscribed == uri
            for key in keys
        }
        return self.catalog.exposed_uri(server, uri), frozenset(keys)

    async def _set_log_level(self, call: Call) -> Raw:
        level = _text(call.params, "level")
        if level not in LOG_LEVELS:
            raise InvalidParams(f"unknown log level {level!r}; use one of {', '.join(LOG_LEVELS)}")
        self._log_levels[call.client.key] = level
        told = self._spread_log_level()
        with anyio.move_on_after(LEVEL_WITHIN_S):
            await told.wait()
        return _EMPTY

    def log_level(self, client: Client) -> str | None:
        """The level a legacy session set, None when it set none."""
        return self._log_levels.get(client.key)

    def sees(self, client: Client, server: str) -> bool:
        """Whether the server belongs to what the client may use."""
        return self.showcase.view(client).admits_server(server)

    def hides(self, client: Client, uri: str) -> bool:
        """Whether the resource is there, and not for this client."""
        route = self.catalog.owner(uri, self._seen)
        return route is not None and not self.showcase.view(client)(route)

    def _spread_log_level(self) -> anyio.Event:
        """Have every upstream told the mildest level that any client wants; the event is set once all were."""
        told = anyio.Event()
        mildest = min(self._log_levels.values(), key=LOG_LEVELS.index, default=None)
        if mildest is None or self._chores is None:
            told.set()
        else:
            self._chores.start_soon(self._tell_log_level, mildest, told)
        return told

    async def _tell_log_level(self, level: str, told: anyio.Event) -> None:
        async with anyio.create_task_group() as group:
            for agent in self.upstreams.connections:
                group.start_soon(agent.set_log_level, level)
        told.set()

    def release(self, client: Client) -> None:
        """A client's session has ended: whatever it had to itself is given back. Upstreams hear of it later."""
        self.upstreams.release(client)
        if self._log_levels.pop(client.key, None) is not None:
            self._spread_log_level()
        for line in [line for line, keys in self._subscribers.items() if client.key in keys]:
            if self._chores is not None:
                self._chores.start_soon(self._give_up, line, client.key)

    async def _give_up(self, line: Subscription, key: str) -> None:
        try:
            await self._unsubscribe(line, key)
        except (GatewayError, RpcError) as failure:
            logger.info("gateway.unsubscribe_failed server=%s reason=%s", line[0].name, type(failure).__name__)

    def _completes(self, server: str) -> bool:
        offer = self.upstreams.offers.get(server)
        return offer is not None and "completions" in offer.capabilities

    # -- the directory -------------------------------------------------------------------------------------------

    @property
    def catalog(self) -> Catalog:
        """The merged view as of now."""
        if self._stale:
            self._stale = False
            offers = self.upstreams.in_order()
            self._catalog = Catalog.build(offers, self._judged(offers), self._expose(), self.functions.definitions)
        return self._catalog

    def _judged(self, offers: Iterable[Offer]) -> Mapping[str, ServerRules]:
        """The servers' rules, with the tools that are not trusted as they are offered now."""
        judged = dict(self._surface.servers)
        for offer in offers:
            rules = judged.get(offer.server, ServerRules())
            admitted = [tool for tool in offer.sealed_tools if rules.admits(tool.name)]
            judged[offer.server] = replace(rules, withheld=self._judge(offer.server, admitted))
        return judged

    def _expose(self) -> ExposeRules:
        """The rules, with the names given out so far: they stay with their owners (`expose.prefix: collision`)."""
        given = {key: name for key, name in self._catalog.sticky.items() if key[1] in self._surface.servers}
        return replace(self._surface.expose, sticky={**self._surface.expose.sticky, **given})

    async def listing(self, kind: Kind, call: Call) -> Raw:
        """One complete page in the caller's revision; only servers never heard of yet are waited for, briefly.

        Raises InvalidParams on a cursor: there is only one page.
        """
        check_cursor(call.params)
        await self.settled()
        return self.showcase.listing(kind, call.client, self.catalog)

    async def settled(self) -> None:
        """Wait for servers never heard of yet, until FIRST_LISTING_WAIT_S after the first listing of this process.

        A process with a saved catalog lists that at once; what is new comes with `list_changed`.
        """
        if self.upstreams.has_saved_offers:
            return
        now_s = time.monotonic()
        if self._listed_first_s is None:
            self._listed_first_s = now_s
        within_s = max(0.0, self._listed_first_s + FIRST_LISTING_WAIT_S - now_s)
        with anyio.move_on_after(within_s):
            await self.upstreams.settled(within_s)
            await self.functions.settled()

    def configure(self, surface: Surface) -> None:
        """Take over changed rules about names and schemas, and about who is shown what."""
        self._surface = surface
        self.showcase.rules = surface.show
        self._expire()

    def judge_again(self) -> None:
        """Other tools may be trusted now than were before."""
        self._expire()

    def judge_all(self) -> None:
        """Have a verdict on everything that is offered by now: the catalog asks for it when it is built."""
        _ = self.catalog

    def _hear(self, event: Event) -> None:
        if isinstance(event, OfferChanged):
            self._expire()

    def _expire(self) -> None:
        self._stale = True
        self._offers_changed.set()

    async def run(self) -> None:
        """Announce changes of the catalog, and tell upstreams what nobody waits for, until cancelled."""
        async with anyio.create_task_group() as chores:
            self._chores = chores
            try:
                await self._announce_changes()
            finally:
                self._chores = None

    async def _announce_changes(self) -> None:
        """Several changes of the merged view are announced at once where they come together."""
        while True:
            await self._offers_changed.wait()
            await anyio.sleep(CATALOG_DEBOUNCE_S)
            self._offers_changed = anyio.Event()
            kinds = diff(self._announced, self.catalog) | self._shown_otherwise()
            self._announced, self._announced_show = self.catalog, self.showcase.rules
            self._vendor_owners.clear()
            if kinds:
                self.events.publish(CatalogChanged(kinds))

    def _shown_otherwise(self) -> frozenset[str]:
        """Which lists may differ although the catalog is the same: the rules of who is shown what have changed."""
        old, new = self._announced_show, self.showcase.rules
        if old.profiles != new.profiles:
            return frozenset({"tools", "prompts", "resources"})
        return frozenset() if old == new else frozenset({"tools"})


def _finder(params: RawParams) -> Route | None:
    """The route of a tool that only search mode lists, wherever it is called from."""
    name = _text(params, "name")
    return Route(Kind.TOOL, None, name, name) if name in FINDERS else None


async def _nothing(link: Link, sink: Sink) -> Raw:
    """Sent by whoever only wants the connection."""
    return _EMPTY


def _text(params: RawParams, name: str) -> str:
    """A param that has to be text. Raises InvalidParams."""
    value = params.get(name)
    try:
        plain = loads(value) if isinstance(value, Raw) else value
    except Malformed:
        plain = None
    if not isinstance(plain, str):
        raise InvalidParams(f"params.{name} must be a string")
    return plain
