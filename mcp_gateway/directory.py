"""The directory: the catalog as of now, its listings, and word of its changes.

Offers of upstreams and rules of the configuration enter; the merged view leaves, built
when it is asked for, and one announcement for changes that come together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import anyio

from mcp_gateway.builtin import MCPFunctions
from mcp_gateway.call import Call
from mcp_gateway.catalog import Catalog, ExposeRules, Kind, Offer, ServerRules, check_cursor, diff
from mcp_gateway.events import CatalogChanged, Event, Events, OfferChanged
from mcp_gateway.security.pins import Offered
from mcp_gateway.showcase import Showcase, ShowRules
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.wire import Raw

FIRST_LISTING_WAIT_S = 3.0
"""How long the first listing of a process waits for servers that are neither ready nor failed (design, decision 3)."""

DEBOUNCE_S = 0.1
"""Changes of the merged view within this time are announced once (protocol facts, section 3: about 100 ms)."""


Judge = Callable[[str, Iterable[Offered]], Mapping[str, str]]
"""A server and its tools -> those that are not to be offered, and why."""


@dataclass(frozen=True, slots=True)
class Surface:
    """What the configuration says of names and schemas, and of who is shown what."""

    expose: ExposeRules = field(default_factory=ExposeRules)
    show: ShowRules = field(default_factory=ShowRules)
    servers: Mapping[str, ServerRules] = field(default_factory=dict)


class Directory:
    """The merged view over all upstreams and built-ins, and who is told that it changed."""

    def __init__(
        self,
        upstreams: MCPAgentManager,
        functions: MCPFunctions,
        events: Events,
        showcase: Showcase,
        surface: Surface,
        judge: Judge = lambda server, tools: {},
    ) -> None:
        """`judge` sees every tool before it goes into the catalog."""
        self._judge = judge
        self._upstreams = upstreams
        self._functions = functions
        self._events = events
        self._showcase = showcase
        self._surface = surface
        self._catalog = Catalog.build((), builtins=functions.definitions)
        self._announced = self._catalog
        self._announced_show = surface.show
        self._stale = True
        self._changed = anyio.Event()
        self._listed_first_s: float | None = None
        events.subscribe(self._hear)

    @property
    def catalog(self) -> Catalog:
        """The merged view as of now."""
        if self._stale:
            self._stale = False
            offers = self._upstreams.in_order()
            self._catalog = Catalog.build(offers, self._judged(offers), self._expose(), self._functions.definitions)
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
        return self._showcase.listing(kind, call.client, self.catalog)

    async def settled(self) -> None:
        """Wait for servers never heard of yet, until FIRST_LISTING_WAIT_S after the first listing of this process.

        A process with a saved catalog lists that at once; what is new comes with `list_changed`.
        """
        if self._upstreams.has_saved_offers:
            return
        now_s = time.monotonic()
        if self._listed_first_s is None:
            self._listed_first_s = now_s
        within_s = max(0.0, self._listed_first_s + FIRST_LISTING_WAIT_S - now_s)
        with anyio.move_on_after(within_s):
            await self._upstreams.settled(within_s)
            await self._functions.settled()

    # -- changes ---------------------------------------------------------------------------------------------------

    def configure(self, surface: Surface) -> None:
        """Take over changed rules about names and schemas, and about who is shown what."""
        self._surface = surface
        self._showcase.rules = surface.show
        self._expire()

    def judge_again(self) -> None:
        """Other tools may be trusted now than were before."""
        self._expire()

    def _hear(self, event: Event) -> None:
        if isinstance(event, OfferChanged):
            self._expire()

    def _expire(self) -> None:
        self._stale = True
        self._changed.set()

    async def run(self) -> None:
        """Announce changes until cancelled; several of the merged view at once where they come together."""
        while True:
            await self._changed.wait()
            await anyio.sleep(DEBOUNCE_S)
            self._changed = anyio.Event()
            kinds = diff(self._announced, self.catalog) | self._shown_otherwise()
            self._announced, self._announced_show = self.catalog, self._showcase.rules
            if kinds:
                self._events.publish(CatalogChanged(kinds))

    def _shown_otherwise(self) -> frozenset[str]:
        """Which lists may differ although the catalog is the same: the rules of who is shown what have changed."""
        old, new = self._announced_show, self._showcase.rules
        if old.profiles != new.profiles:
            return frozenset({"tools", "prompts", "resources"})
        return frozenset() if old == new else frozenset({"tools"})
