"""The legacy sessions that are open, and what they are told without having asked.

A session enters once its client has initialized and leaves when its connection
ends. Changes of the catalog, updates of resources and log messages of upstreams
go out from here; modern clients hear the first two through `subscriptions/listen`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import anyio.abc
from mcp.server import subscriptions
from mcp.server.connection import Connection

from mcp_gateway.call import Client
from mcp_gateway.events import CatalogChanged, Event, LogMessage, ResourceUpdated
from mcp_gateway.revisions import LOG_LEVELS
from mcp_gateway.security.policy import allows
from mcp_gateway.wire import Malformed, loads

logger = logging.getLogger(__name__)

QUEUE = 256
"""Events that wait to be announced; a storm beyond that is dropped (our choice)."""

UNTAKEN = 64
"""Announcements that one session may leave untaken; more are dropped until it reads again (our choice)."""

TELL_WITHIN_S = 10.0
"""A client that has not taken an announcement by then does not get it (our choice)."""

_LISTEN_EVENTS: Mapping[str, Callable[[], subscriptions.ServerEvent]] = {
    "tools": subscriptions.ToolsListChanged,
    "prompts": subscriptions.PromptsListChanged,
    "resources": subscriptions.ResourcesListChanged,
}


class Wishes(Protocol):
    """What the gateway knows of sessions' wishes."""

    def subscribers(self, server: str, uri: str) -> tuple[str, frozenset[str]]: ...

    def log_level(self, client: Client) -> str | None: ...

    def sees(self, client: Client, server: str) -> bool: ...


@dataclass(slots=True)
class Session:
    """One initialized legacy client, its connection, and how many announcements it has yet to take."""

    client: Client
    connection: Connection
    waiting: int = 0


class Sessions:
    """Every open legacy session, and the bus that modern listens hear."""

    def __init__(self, wishes: Wishes) -> None:
        self.bus = subscriptions.InMemorySubscriptionBus()
        self._wishes = wishes
        self._open: dict[str, Session] = {}
        self._send, self._receive = anyio.create_memory_object_stream[Event](QUEUE)

    def __len__(self) -> int:
        return len(self._open)

    @property
    def clients(self) -> tuple[Client, ...]:
        """Who is there, in the order they came."""
        return tuple(session.client for session in self._open.values())

    def enter(self, client: Client, connection: Connection) -> None:
        self._open[client.key] = Session(client, connection)

    def leave(self, client: Client) -> None:
        self._open.pop(client.key, None)

    def hear(self, event: Event) -> None:
        """An event listener; the work is done by `run`."""
        if isinstance(event, CatalogChanged | ResourceUpdated | LogMessage):
            try:
                self._send.send_nowait(event)
            except (anyio.WouldBlock, anyio.BrokenResourceError, anyio.ClosedResourceError):
                logger.warning("sessions.announcement_dropped event=%s", type(event).__name__)

    async def run(self) -> None:
        """Pass announcements on until cancelled. A client that does not read holds up nobody else."""
        async with self._send, self._receive, anyio.create_task_group() as group:
            async for event in self._receive:
                if isinstance(event, CatalogChanged):
                    await self._catalog_changed(group, event)
                elif isinstance(event, ResourceUpdated):
                    await self._resource_updated(group, event)
                elif isinstance(event, LogMessage):
                    self._log(group, event)

    async def _catalog_changed(self, group: anyio.abc.TaskGroup, event: CatalogChanged) -> None:
        for kind in sorted(event.kinds):
            for session in self._open.values():
                if allows(session.client.principal, "subscriptions/listen"):
                    self._tell(group, session, f"notifications/{kind}/list_changed", None)
            await self.bus.publish(_LISTEN_EVENTS[kind]())

    async def _resource_updated(self, group: anyio.abc.TaskGroup, event: ResourceUpdated) -> None:
        uri, keys = self._wishes.subscribers(event.server, event.uri)
        for key in keys & self._open.keys():
            self._tell(group, self._open[key], "notifications/resources/updated", {"uri": uri})
        await self.bus.publish(subscriptions.ResourceUpdated(uri=uri))

    def _log(self, group: anyio.abc.TaskGroup, event: LogMessage) -> None:
        """A log message of no call belongs to the session whose connection it came over. Over a shared one it may
        concern anybody, so it goes out only when there is just one session.
        """
        session = self._open.get(event.session) if event.session is not None else self._only()
        if session is None or not self._wishes.sees(session.client, event.server):
            return
        try:
            params = {key: loads(value) for key, value in event.params.items()}
        except Malformed:
            return
        level = params.get("level")
        wanted = self._wishes.log_level(session.client)
        if wanted is not None and level in LOG_LEVELS and LOG_LEVELS.index(level) >= LOG_LEVELS.index(wanted):
            self._tell(group, session, "notifications/message", params)

    def _only(self) -> Session | None:
        return next(iter(self._open.values())) if len(self._open) == 1 else None

    def _tell(
        self, group: anyio.abc.TaskGroup, session: Session, method: str, params: Mapping[str, Any] | None
    ) -> None:
        if session.waiting >= UNTAKEN:
            logger.info("sessions.announcement_untaken method=%s", method)
            return
        session.waiting += 1
        group.start_soon(_notify, session, method, params)


async def _notify(session: Session, method: str, params: Mapping[str, Any] | None) -> None:
    try:
        with anyio.move_on_after(TELL_WITHIN_S):
            await session.connection.notify(method, params)
    finally:
        session.waiting -= 1
