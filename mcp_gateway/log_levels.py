"""Log levels that legacy sessions set, and the one that upstreams are told.

A session's level enters; every upstream hears the mildest that anybody wants. What a
session is sent of an upstream's messages is decided where they go out.
"""

from __future__ import annotations

import anyio
import anyio.abc

from mcp_gateway.call import Client
from mcp_gateway.errors import InvalidParams
from mcp_gateway.revisions import LOG_LEVELS
from mcp_gateway.upstream.manager import MCPAgentManager

TOLD_WITHIN_S = 1.0
"""How long setting a log level waits for upstreams to have heard of it; a slow one hears later (our choice)."""


class LogLevels:
    """The levels by client. `run` tells the upstreams, and has to run."""

    def __init__(self, upstreams: MCPAgentManager) -> None:
        self._upstreams = upstreams
        self._levels: dict[str, str] = {}
        self._group: anyio.abc.TaskGroup | None = None

    async def run(self) -> None:
        """Tell upstreams until cancelled."""
        async with anyio.create_task_group() as self._group:
            try:
                await anyio.sleep_forever()
            finally:
                self._group = None

    def of(self, client: Client) -> str | None:
        """The level a legacy session set, None when it set none."""
        return self._levels.get(client.key)

    async def set(self, client: Client, level: str) -> None:
        """Returns once upstreams were told, or after TOLD_WITHIN_S. Raises InvalidParams."""
        if level not in LOG_LEVELS:
            raise InvalidParams(f"unknown log level {level!r}; use one of {', '.join(LOG_LEVELS)}")
        self._levels[client.key] = level
        told = self._spread()
        with anyio.move_on_after(TOLD_WITHIN_S):
            await told.wait()

    def release(self, client: Client) -> None:
        """The client is gone. Upstreams hear of it later; the last one leaves its level behind."""
        if self._levels.pop(client.key, None) is not None:
            self._spread()

    def _spread(self) -> anyio.Event:
        """Have every upstream told; the event is set once all were."""
        told = anyio.Event()
        mildest = min(self._levels.values(), key=LOG_LEVELS.index, default=None)
        if mildest is None or self._group is None:
            told.set()
        else:
            self._group.start_soon(self._tell, mildest, told)
        return told

    async def _tell(self, level: str, told: anyio.Event) -> None:
        await self._upstreams.set_log_level(level)
        told.set()
