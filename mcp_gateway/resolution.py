"""From the names that clients use to routes, and back: what a call leads to.

A call enters, its route leaves: upstream and original name, or one error that does not
tell what exists and may not be used from what does not exist. URIs in results go the
other way.
"""

from __future__ import annotations

import time
from contextlib import suppress

from mcp_gateway.builtin.finder import FINDERS, READ_TOOL, SURFACE, reads_only, unwrap
from mcp_gateway.call import Call, Client, Sink
from mcp_gateway.catalog import Kind, Route, SeenUris, View, result_uris
from mcp_gateway.directory import Directory
from mcp_gateway.errors import InvalidParams, UnknownName, UpstreamUnavailable
from mcp_gateway.showcase import Showcase
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.upstream.session import Link
from mcp_gateway.wire import Malformed, Raw, RawParams, encode, fields, loads

FIRST_CALL_WAIT_S = 30.0
"""How long a call to a server that is still starting waits, when the caller sets no deadline (`startup_timeout`)."""


class Resolution:
    """Names and URIs against the catalog of the moment, as each client is shown it."""

    def __init__(self, directory: Directory, showcase: Showcase, upstreams: MCPAgentManager) -> None:
        self._directory = directory
        self._showcase = showcase
        self._upstreams = upstreams
        self._seen = SeenUris()

    async def target(self, call: Call) -> Route | None:
        """Where the call leads; None for methods that name nothing. One that stands for another becomes the other.

        A name that a server never heard of so far may bring is waited for (design, decision 3).

        Raises:
            UnknownName: no such name, or not for this caller.
            InvalidParams: the params lack the name, or it is no text.
            GatewayError: why the one server that could bring the name does not answer.
        """
        delegate = unwrap(call)
        if delegate is None:
            return await self._resolve_in_time(call)
        if call.params["name"] in SURFACE:
            raise self._unknown(Kind.TOOL, call.params["name"], self._showcase.view(call.client))
        route = await self._resolve_in_time(call)
        if delegate == READ_TOOL and route is not None and not reads_only(self._directory.catalog, route.exposed):
            raise InvalidParams(f"{route.exposed} does not say that it only reads; use call_tool")
        return route

    async def _resolve_in_time(self, call: Call) -> Route | None:
        with suppress(UnknownName):
            return self._resolve(call)
        began_s = time.monotonic()
        if call.params.get("name") is None:
            await self._directory.settled()
        else:
            await self._until_named(text_of(call.params, "name"), call)
        route = self._resolve(call)
        if route is not None and route.server is not None:
            self._spend(call, route, route.server, time.monotonic() - began_s)
        return route

    def _spend(self, call: Call, route: Route, server: str, waited_s: float) -> None:
        """What was waited for the name counts against the call's deadline."""
        tool = route.name if route.kind is Kind.TOOL else ""
        limit_s = self._upstreams.agent(server).rules.limit_s(tool, call.deadline_s)
        call.deadline_s = max(0.0, limit_s - waited_s)

    async def _until_named(self, name: str, call: Call) -> None:
        """Wait for the servers that may bring the name, as long as a call to one of them may take."""
        prefixes, view = self._directory.catalog.prefixes, self._showcase.view(call.client)
        limit_s = FIRST_CALL_WAIT_S if call.deadline_s is None else call.deadline_s
        began_s = time.monotonic()
        await self._until_heard_of(name, limit_s, view)
        limits_s = {
            agent.name: agent.rules.limit_s(wish_s=limit_s)
            for agent in self._upstreams.agents
            if view.admits_server(agent.name) and name.startswith(prefixes.get(agent.name, ""))
        }
        left_s = max(limits_s.values(), default=0.0) - (time.monotonic() - began_s)
        await self._upstreams.settled(left_s, limits_s.__contains__)

    async def _until_heard_of(self, name: str, limit_s: float, view: View) -> None:
        """A name that only a server can bring which never told what it offers: raises why it does not answer."""
        for server, prefix in self._directory.catalog.prefixes.items():
            if server in self._upstreams.offers or not name.startswith(f"{prefix}__"):
                continue
            if not view(Route(Kind.TOOL, server, name, name)):
                continue
            if (reason := self._upstreams.disabled.get(server)) is not None:
                raise UpstreamUnavailable(f"upstream {server!r} is disabled: {reason}", server=server)
            await self._upstreams.agent(server).call(_nothing, deadline_s=limit_s)

    def _resolve(self, call: Call) -> Route | None:
        view = self._showcase.view(call.client)
        match call.method:
            case "tools/call":
                return _finder(call.params) or self._named(Kind.TOOL, call.params, view)
            case "prompts/get":
                return self._named(Kind.PROMPT, call.params, view)
            case "resources/read" | "resources/subscribe" | "resources/unsubscribe":
                return self._owner(text_of(call.params, "uri"), view)
            case "completion/complete":
                return self._reference(call.params, view)
        return None

    def _named(self, kind: Kind, params: RawParams, view: View) -> Route:
        name = text_of(params, "name")
        route = self._directory.catalog.find(kind, name)
        if route is None or not view(route):
            raise self._unknown(kind, name, view)
        return route

    def _unknown(self, kind: Kind, name: str, view: View) -> UnknownName:
        return UnknownName(kind, name, nearest=self._directory.catalog.nearest(kind, name, view))

    def _owner(self, uri: str, view: View) -> Route:
        route = self._directory.catalog.owner(uri, self._seen)
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
        uri = text_of(dict(reference), "uri")
        template = self._directory.catalog.find(Kind.TEMPLATE, uri)
        return template if template is not None and view(template) else self._owner(uri, view)

    # -- URIs ------------------------------------------------------------------------------------------------------

    def hides(self, client: Client, uri: str) -> bool:
        """Whether the resource is there, and not for this client."""
        route = self._directory.catalog.owner(uri, self._seen)
        return route is not None and not self._showcase.view(client)(route)

    def owned(self, server: str, method: str, raw: Raw) -> Raw:
        """The result with its URIs as clients know them; URIs seen for the first time get an owner."""
        catalog = self._directory.catalog
        raw = catalog.rewrite_uris(server, method, raw)
        for uri in result_uris(method, raw):
            if catalog.owner(uri) is None:
                self._seen.add(server, uri)
        return raw


def text_of(params: RawParams, name: str) -> str:
    """A param that has to be text. Raises InvalidParams."""
    value = params.get(name)
    try:
        plain = loads(value) if isinstance(value, Raw) else value
    except Malformed:
        plain = None
    if not isinstance(plain, str):
        raise InvalidParams(f"params.{name} must be a string")
    return plain


def _finder(params: RawParams) -> Route | None:
    """The route of a tool that only search mode lists, wherever it is called from."""
    name = text_of(params, "name")
    return Route(Kind.TOOL, None, name, name) if name in FINDERS else None


async def _nothing(link: Link, sink: Sink) -> Raw:
    """Sent by whoever only wants the connection."""
    return Raw(b"{}")
