"""The WebSocket door: who gets a socket, and how many there are.

A handshake enters whose Host, Origin and key were checked before; what its socket carries is `Connection`'s business.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from mcp_gateway.call import Client
from mcp_gateway.downstream.connection import Connection, ConnectionRules
from mcp_gateway.downstream.endpoint import Endpoint
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.standing import Renew
from mcp_gateway.gateway import Gateway
from mcp_gateway.revisions import LATEST_LEGACY

logger = logging.getLogger(__name__)

PATH: Final = "/ws"

SUBPROTOCOL: Final = "mcp-gateway"
"""Chosen where it is offered: a browser that offers any gives up when none is chosen (WHATWG, WebSockets)."""

TRY_AGAIN_LATER: Final = 1013
"""Of the registry of close codes that RFC 6455 founds, section 11.7."""


@dataclass(frozen=True, slots=True)
class SocketRules(ConnectionRules):
    """How much of everything there is."""

    sockets: int = 64
    """Open sockets of one principal (our choice)."""

    total: int = 1000
    """Open sockets of all of them (`limits.max_sessions`)."""


class WebSocketDoor:
    """All open sockets."""

    def __init__(self, gateway: Gateway, endpoint: Endpoint, rules: SocketRules, renewed: Renew) -> None:
        """`renewed` is of the authentication before the door."""
        self._gateway = gateway
        self._endpoint = endpoint
        self._rules = rules
        self._renewed = renewed
        self._open: Counter[str] = Counter()

    async def serve(self, websocket: WebSocket) -> None:
        """One socket, from its handshake to its end."""
        principal = principal_of(websocket.scope)
        with self._counted(principal.id) as has_room, suppress(WebSocketDisconnect):
            await websocket.accept(SUBPROTOCOL if SUBPROTOCOL in websocket.scope["subprotocols"] else None)
            if has_room:
                await self._serve(websocket)
            else:
                logger.info("websocket.refused principal=%s open=%d", principal.id, self._open.total() - 1)
                await websocket.close(TRY_AGAIN_LATER, "too many sockets are open; close one, or try again later")

    async def _serve(self, websocket: WebSocket) -> None:
        key = uuid4().hex
        client = Client(
            key,
            revision=LATEST_LEGACY,
            session=key,
            door="websocket",
            selection=self._endpoint.selection,
            principal=principal_of(websocket.scope),
        )
        connection = Connection(websocket, client, self._gateway, self._endpoint.in_flight, self._rules, self._renewed)
        try:
            await connection.serve()
        finally:
            self._gateway.release(client)

    @contextmanager
    def _counted(self, principal: str) -> Iterator[bool]:
        """Whether there is room for one more."""
        has_room = self._open[principal] < self._rules.sockets and self._open.total() < self._rules.total
        self._open[principal] += 1
        try:
            yield has_room
        finally:
            self._open[principal] -= 1
            self._open += Counter()  # forgets who has none
