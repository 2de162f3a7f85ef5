"""The gateway a command talks to: the running one of the same file, else one of its own in this process.

Both answer with the bodies of REST, so a command does not know the difference.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from mcp_gateway.cli.options import config_path
from mcp_gateway.cli.output import Output, note
from mcp_gateway.cli.remote import Follow, Refused, Remote, named
from mcp_gateway.config import folders, load_config
from mcp_gateway.downstream.runfile import RunFile
from mcp_gateway.errors import METHOD_NOT_FOUND, NotRunning, RpcError, UnknownName

if TYPE_CHECKING:
    from mcp_gateway.app import App
    from mcp_gateway.wire import Raw, RawParams

SETTLE_WITHIN_S = 15.0
"""How long a command waits for servers that are still starting (our choice)."""


class Answers(Protocol):
    """What commands ask a gateway."""

    async def get(self, path: str) -> Any:
        """The body of `GET /api/v1/{path}`. Raises GatewayError."""

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
    async with _local(output) as local:
        yield local


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


class Local:
    """A gateway of our own, in this process."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._told: set[str] = set()

    async def get(self, path: str) -> Any:
        from mcp_gateway.catalog import WHOLE
        from mcp_gateway.downstream import views

        gateway = self._app.gateway
        kind, slash, name = path.partition("/")
        if kind == "servers":
            await self._app.tried(SETTLE_WITHIN_S)
        else:
            await gateway.upstreams.settled(SETTLE_WITHIN_S)
        self._tell_failures()
        if not slash:
            return {kind: getattr(views, kind)(gateway, WHOLE)}
        server = views.server(gateway, WHOLE, name)
        if server is None:
            raise UnknownName("server", name)
        return server

    async def tool(self, name: str) -> Mapping[str, Any] | None:
        """Waits only as long as the tool is unknown: a sick server delays no other."""
        from mcp_gateway.catalog import WHOLE
        from mcp_gateway.downstream import views

        await self._app.known(name, SETTLE_WITHIN_S)
        return named(name, views.tools(self._app.gateway, WHOLE))

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, follow: Follow | None = None
    ) -> dict[str, Any]:
        from mcp_gateway.call import QUIET

        try:
            return await self._app.call_tool(tool, arguments, timeout_s, Followed(follow) if follow else QUIET)
        except RpcError as refused:
            raise Refused("upstream_error", refused.error["message"]) from None
        except UnknownName:
            self._tell_failures()
            raise

    def _tell_failures(self) -> None:
        for agent in self._app.upstreams.agents:
            if agent.reason is not None and agent.reason not in self._told:
                self._told.add(agent.reason)
                note(f"note: {agent.reason}")


class Followed:
    """The way back to a command, which follows its call and cannot be asked anything."""

    owner: str = "command-line"
    token: str | int | None = 1

    def __init__(self, follow: Follow) -> None:
        self._follow = follow

    def notify(self, method: str, params: RawParams) -> None:
        from mcp_gateway.downstream.call_events import events_of

        for event in events_of(method, params):
            self._follow(event.kind, event.data)

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(METHOD_NOT_FOUND, f"declined: a command has nobody to ask: {method}")


@asynccontextmanager
async def _local(output: Output) -> AsyncIterator[Local]:
    config = load_config(config_path(output), environ=os.environ)
    from mcp_gateway.app import App  # here: a bad configuration is told without a second of imports

    app = App(config, environ=os.environ, log_level=output.level or "error")
    async with app.running():
        yield Local(app)
