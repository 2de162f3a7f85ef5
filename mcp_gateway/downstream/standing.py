"""Streams that stand until somebody ends them: they end with the key that opened them.

A request for a stream enters behind the authentication. It looks to the door as if its client had left, once that
client would not be let in any more or may do something else than when it came; one that comes again is told why.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_gateway.downstream.failures import told
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.errors import GatewayError, Unauthorized
from mcp_gateway.security import REFUSED
from mcp_gateway.security.principal import Principal

logger = logging.getLogger(__name__)

RENEWED_EVERY_S: Final = 1.0
"""How often it is asked who somebody is that was let in once; it costs a look at the keys (our choice)."""

_LISTENS: Final = (b"mcp-method", b"subscriptions/listen")
"""The SDK refuses a request of 2026-07-28 whose body names another method (basic/transports/streamable-http)."""

Renew = Callable[[Scope, Principal], Awaitable[Principal]]
"""Who it is now that was admitted with a request. Raises GatewayError when nobody is any more."""


class Standing:
    """ASGI: other requests pass, since they end by themselves and were allowed when they began."""

    def __init__(self, app: ASGIApp, renewed: Renew, every_s: float = RENEWED_EVERY_S) -> None:
        self._app = app
        self._renewed = renewed
        self._every_s = every_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _stands(scope):
            await self._app(scope, receive, send)
            return
        stream, failure = _Stream(receive, send), None
        async with anyio.create_task_group() as group:
            group.start_soon(self._watch, scope, stream)
            try:
                await self._app(scope, stream.receive, stream.send)
            except Exception as raised:  # boundary: the group would wrap it; it goes on unchanged below
                failure = raised
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure
        await stream.finish(scope)

    async def _watch(self, scope: Scope, stream: _Stream) -> None:
        admitted = principal_of(scope)
        while await self._is_still(scope, admitted):  # noqa: ASYNC110 - time and other processes announce nothing
            await anyio.sleep(self._every_s)
        logger.info("standing.ended principal=%s path=%s", admitted.id, scope["path"])
        stream.ended.set()

    async def _is_still(self, scope: Scope, admitted: Principal) -> bool:
        try:
            return await self._renewed(scope, admitted) == admitted
        except GatewayError:
            return False


class _Stream:
    """One response under way. `ended`: the door is to hear that its client has left."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.ended = anyio.Event()
        self._receive = receive
        self._send = send
        self._has_begun = False
        self._is_complete = False

    async def receive(self) -> Message:
        message: Message = {"type": "http.disconnect"}
        async with anyio.create_task_group() as group:
            group.start_soon(self._until_ended, group.cancel_scope)
            message = await self._receive()
            group.cancel_scope.cancel()
        return message

    async def _until_ended(self, waiting: anyio.CancelScope) -> None:
        await self.ended.wait()
        waiting.cancel()

    async def send(self, message: Message) -> None:
        self._has_begun = True
        self._is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def finish(self, scope: Scope) -> None:
        """What the door owes a client that has not left."""
        if not self.ended.is_set() or self._is_complete:
            return
        if self._has_begun:
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await told(Unauthorized(REFUSED)).response()(scope, self.receive, self.send)


def _stands(scope: Scope) -> bool:
    return scope["method"] == "GET" or _LISTENS in scope["headers"]
