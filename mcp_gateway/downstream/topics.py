"""What a WebSocket can subscribe to: topics, and what of them one caller hears.

The gateway's events enter as they are published; those the caller wants and may see leave as plain data, to one reader.
Who reads slowly misses the oldest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import anyio
import msgspec

from mcp_gateway.call import Client
from mcp_gateway.errors import Forbidden, InvalidParams
from mcp_gateway.events import CallEnded, CatalogChanged, Event, ServerStateChanged
from mcp_gateway.gateway import Gateway
from mcp_gateway.observe.calls import plain
from mcp_gateway.security.policy import check_admin, check_scope
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import RequestId

QUEUE: Final = 256
"""Events held for a slow reader (our choice)."""


@dataclass(frozen=True, slots=True)
class Topic:
    """The event it is made of, and whether only an operator may hear it."""

    event: type[Event]
    admin: bool = False

    def check(self, principal: Principal) -> None:
        """Raises Forbidden."""
        if self.admin:
            check_admin(principal)
        else:
            check_scope(principal, "tools/list")


TOPICS: Final[Mapping[str, Topic]] = {
    "calls": Topic(CallEnded, admin=True),
    "catalog": Topic(CatalogChanged),
    "servers": Topic(ServerStateChanged),
}


class Subscriptions:
    """What one client wants to hear: `(id, data)`, the id of the subscription and `{topic, timestamp, ...}`."""

    def __init__(self, gateway: Gateway, client: Client) -> None:
        """`client` may be put in its place by whoever learns that its key may do more, or less, than before."""
        self.client = client
        self.dropped = 0
        self._gateway = gateway
        self._wanted: dict[str, RequestId] = {}
        self._waiting: deque[tuple[RequestId, str, Event]] = deque()
        self._arrived = anyio.Event()

    def change(self, id: RequestId, topics: Iterable[str], wanted: bool) -> list[str]:
        """Subscribe to the topics, all or none of them, or not any more; what is subscribed to then.

        Raises InvalidParams, Forbidden.
        """
        for topic in topics:
            if topic not in TOPICS:
                raise InvalidParams(f"no topic {topic[:64]!r}; there are {', '.join(TOPICS)}")
            TOPICS[topic].check(self.client.principal)
        for topic in topics:
            if wanted:
                self._wanted[topic] = id
            else:
                self._wanted.pop(topic, None)
        return sorted(self._wanted)

    def hear(self, event: Event) -> None:
        """An event listener."""
        for topic, id in self._wanted.items():
            if type(event) is TOPICS[topic].event and self._sees(event):
                if len(self._waiting) >= QUEUE:
                    self._waiting.popleft()
                    self.dropped += 1
                self._waiting.append((id, topic, event))
                self._arrived.set()

    async def arrived(self) -> None:
        """Wait until there is something to tell."""
        while not self._waiting:
            self._arrived = anyio.Event()
            await self._arrived.wait()

    def take(self) -> tuple[RequestId, dict[str, Any]] | None:
        """The oldest event that the client may still hear; None when there is none left."""
        while self._waiting:
            id, topic, event = self._waiting.popleft()
            if self._may_hear(topic) and self._sees(event):
                return id, _data(topic, event)
        return None

    async def next(self) -> tuple[RequestId, dict[str, Any]]:
        """The next one that there is."""
        while True:
            await self.arrived()
            if (found := self.take()) is not None:
                return found

    def _may_hear(self, topic: str) -> bool:
        try:
            TOPICS[topic].check(self.client.principal)
        except Forbidden:
            return False
        return True

    def _sees(self, event: Event) -> bool:
        server = getattr(event, "server", None)
        return server is None or self._gateway.showcase.view(self.client).admits_server(server)


def _data(topic: str, event: Event) -> dict[str, Any]:
    """The fields of the event in the words of JSON, sets in order."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    fields = plain(event) if isinstance(event, CallEnded) else msgspec.to_builtins(event, order="sorted")
    return {"topic": topic, "timestamp": now, **fields}
