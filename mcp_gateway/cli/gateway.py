"""The gateway a command talks to: the running one of the same file, else one of its own in this process.

Both answer with the bodies of REST, so a command does not know the difference.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from mcp_gateway.cli.options import config_path
from mcp_gateway.cli.output import Output
from mcp_gateway.cli.remote import Follow, Remote
from mcp_gateway.config import folders, load_config
from mcp_gateway.downstream.runfile import RunFile
from mcp_gateway.errors import NotRunning


class Answers(Protocol):
    """What commands ask a gateway."""

    async def get(self, path: str, server: str | None = None) -> Any:
        """The body of `GET /api/v1/{path}`; `server` is the one that matters, None for all. Raises GatewayError."""

    async def tool(self, name: str) -> Mapping[str, Any] | None:
        """One tool's definition, None when there is no such tool. Raises GatewayError."""
        ...

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, follow: Follow | None = None
    ) -> dict[str, Any]:
        """The `CallToolResult`; `follow` hears what happens until it is there. Raises GatewayError."""
        ...


@asynccontextmanager
async def gateway(output: Output) -> AsyncIterator[Answers]:
    """The running gateway of the configuration file, or one of our own for as long as the block lasts."""
    remote = await _remote(output)
    if remote is not None:
        yield remote
        return
    from mcp_gateway.cli.local import local  # here: a bad configuration is told without a second of imports

    async with local(load_config(config_path(output), environ=os.environ), output) as answers:
        yield answers


async def running_gateway(output: Output) -> Remote:
    """The running gateway of the configuration file. Raises NotRunning."""
    remote = await _remote(output)
    if remote is None:
        config = config_path(output)
        raise NotRunning(f"no gateway of {config} is running; start one with: mcp-gateway serve -c {config}")
    return remote


async def _remote(output: Output) -> Remote | None:
    running = RunFile(folders(os.environ).state, config_path(output)).read()
    remote = Remote(running) if running is not None else None
    return remote if remote is not None and await remote.lives() else None
