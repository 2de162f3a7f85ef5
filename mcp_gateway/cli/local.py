"""A gateway of our own, in this process, for as long as one command lasts."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from mcp_gateway.app import App
from mcp_gateway.call import QUIET
from mcp_gateway.catalog import WHOLE
from mcp_gateway.cli.output import Output, note
from mcp_gateway.cli.remote import Follow, Refused, named
from mcp_gateway.config import Config
from mcp_gateway.downstream import views
from mcp_gateway.downstream.call_events import events_of
from mcp_gateway.errors import METHOD_NOT_FOUND, RpcError, UnknownName
from mcp_gateway.wire import Raw, RawParams

SETTLE_WITHIN_S = 15.0
"""How long a command waits for servers that are still starting (our choice)."""

PATIENCE_S = 2.0
"""Then a person is told what is waited for (our choice)."""


@asynccontextmanager
async def local(config: Config, output: Output) -> AsyncIterator[Local]:
    """Raises BadConfig."""
    app = App(config, environ=os.environ, log_level=output.level or "error")
    async with app.running():
        yield Local(app)


class Local:
    """Answers with the bodies of REST."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._told: set[str] = set()

    async def get(self, path: str, server: str | None = None) -> Any:
        """Waits for the servers that matter, and tells which of them have not answered. Raises UnknownName."""
        gateway = self._app.gateway
        kind, slash, quoted = path.partition("/")
        name = unquote(quoted)
        await self._settle(name if slash else server, unless_known=kind != "servers")
        if not slash:
            return {kind: getattr(views, kind)(gateway, WHOLE)}
        found = views.server(gateway, WHOLE, name)
        if found is None:
            raise views.unknown_server(gateway, WHOLE, name)
        return found

    async def tool(self, name: str) -> Mapping[str, Any] | None:
        """Waits only as long as the tool is unknown: a sick server delays no other."""
        await self._app.command_line.known(name, SETTLE_WITHIN_S)
        return named(name, views.tools(self._app.gateway, WHOLE))

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, follow: Follow | None = None
    ) -> dict[str, Any]:
        try:
            return await self._app.command_line.call_tool(
                tool, arguments, timeout_s, Followed(follow) if follow else QUIET
            )
        except RpcError as refused:
            raise Refused("upstream_error", refused.error["message"]) from None
        except UnknownName:
            self._tell_failures(_everyone)
            raise

    async def _settle(self, server: str | None, *, unless_known: bool) -> None:
        """Until the server, or every one, has answered or failed; what is missing then is told.

        `unless_known`: what a server offered the last time will do.
        """

        def concerned(name: str) -> bool:
            is_known = unless_known and name in self._app.upstreams.offers
            return not is_known and server in (None, name)

        await self._app.command_line.tried(PATIENCE_S, concerned)
        if waiting := self._app.command_line.trying(concerned):
            self._tell(f"note: waiting for {', '.join(waiting)}")
            await self._app.command_line.tried(SETTLE_WITHIN_S - PATIENCE_S, concerned)
        for name in self._app.command_line.trying(concerned):
            self._tell(f"note: {name} has not answered yet; what it offers may be missing here")
        self._tell_failures(concerned)

    def _tell_failures(self, concerned: Callable[[str], bool]) -> None:
        for agent in self._app.upstreams.agents:
            if agent.reason is not None and concerned(agent.name):
                self._tell(f"note: {agent.reason}")

    def _tell(self, text: str) -> None:
        """Each once, however often a command asks."""
        if text not in self._told:
            self._told.add(text)
            note(text)


def _everyone(server: str) -> bool:
    return True


class Followed:
    """The way back to a command, which follows its call and cannot be asked anything."""

    owner: str = "command-line"
    token: str | int | None = 1

    def __init__(self, follow: Follow) -> None:
        self._follow = follow

    def notify(self, method: str, params: RawParams) -> None:
        for event in events_of(method, params):
            self._follow(event.kind, event.data)

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(METHOD_NOT_FOUND, f"declined: a command has nobody to ask: {method}")
