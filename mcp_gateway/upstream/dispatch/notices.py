"""Messages an upstream should get though nobody waits for them.

An encoded message enters and is posted by a task of the connection, within a few
seconds or not at all. The number under way is bounded; what is above it is not sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import TaskGroup

from mcp_gateway.errors import GatewayError, RpcError

MAX_NOTICES = 64
NOTICE_S = 5.0
"""How long one may take. Both are our choice: a notice that comes later is of no use."""


class Notices:
    """The notices of one connection; `missed` is told of each that was not delivered."""

    def __init__(
        self, tasks: TaskGroup, send: Callable[[bytes], Awaitable[None]], missed: Callable[[str], None]
    ) -> None:
        self._tasks = tasks
        self._send = send
        self._missed = missed
        self._under_way: set[anyio.Event] = set()

    def post(self, message: bytes) -> None:
        if len(self._under_way) >= MAX_NOTICES:
            self._missed("notice_flood")
            return
        sent = anyio.Event()
        self._under_way.add(sent)
        self._tasks.start_soon(self._post, message, sent)

    async def all_sent(self) -> None:
        for sent in tuple(self._under_way):
            await sent.wait()

    async def _post(self, message: bytes, sent: anyio.Event) -> None:
        try:
            with anyio.fail_after(NOTICE_S):
                await self._send(message)
        except (GatewayError, RpcError, TimeoutError):
            self._missed("unsent_notice")
        finally:
            self._under_way.discard(sent)
            sent.set()
