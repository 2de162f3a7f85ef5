"""The gateway a command talks to: the running one of the same file, else one of its own in this process.

Both answer with the bodies of REST, so a command does not know the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread

from mcp_gateway.cli.output import note
from mcp_gateway.config import folders, load_config
from mcp_gateway.downstream.runfile import RunFile, Running
from mcp_gateway.errors import CODES, GatewayError, NotRunning, UnknownName

SETTLE_WITHIN_S = 15.0
"""How long a command waits for servers that are still starting (our choice)."""

ANSWER_WITHIN_S = 3600.0
"""The gateway has deadlines of its own; this only bounds a dead connection."""


class Answers(Protocol):
    """What commands ask a gateway."""

    async def get(self, path: str) -> Any:
        """The body of `GET /api/v1/{path}`. Raises GatewayError."""

    async def call(self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any]:
        """The `CallToolResult`. Raises GatewayError."""
        ...


@asynccontextmanager
async def gateway(config: Path) -> AsyncIterator[Answers]:
    """The running gateway of this configuration file, or one of our own for as long as the block lasts."""
    running = RunFile(folders(os.environ).state, config).read()
    if running is not None:
        remote = Remote(running)
        if await remote.lives():
            yield remote
            return
    async with _local(config) as local:
        yield local


async def running_gateway(config: Path) -> Answers:
    """The running gateway of this file. Raises NotRunning."""
    running = RunFile(folders(os.environ).state, config).read()
    remote = Remote(running) if running is not None else None
    if remote is None or not await remote.lives():
        raise NotRunning(f"no gateway of {config} is running; start one with: mcp-gateway serve -c {config}")
    return remote


class Remote:
    """A gateway in another process, over its REST door."""

    def __init__(self, running: Running) -> None:
        self.url = running.url
        self._token = running.token

    async def lives(self) -> bool:
        try:
            await anyio.to_thread.run_sync(self._request, "GET", "/healthz", None)
        except (NotRunning, GatewayError):
            return False
        return True

    async def get(self, path: str) -> Any:
        return await anyio.to_thread.run_sync(self._request, "GET", f"/api/v1/{path}", None)

    async def call(self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any]:
        body = json.dumps({"arguments": arguments} | ({} if timeout_s is None else {"timeout_s": timeout_s}))
        path = f"/api/v1/tools/{quote(tool, safe='')}/call"
        result: dict[str, Any] = await anyio.to_thread.run_sync(self._request, "POST", path, body)
        return result

    def _request(self, method: str, path: str, body: str | None) -> Any:
        parts = urlsplit(self.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_WITHIN_S)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as gone:
            raise NotRunning(f"the gateway at {self.url} does not answer ({type(gone).__name__})") from None
        finally:
            connection.close()
        if path == "/healthz":
            return None
        decoded = json.loads(text)
        if response.status >= 400:
            raise _failure(decoded)
        return decoded


class Local:
    """A gateway of our own, in this process."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def get(self, path: str) -> Any:
        from mcp_gateway.downstream import views

        gateway = self._app.gateway
        await gateway.upstreams.settled(SETTLE_WITHIN_S)
        self._tell_failures()
        match path.partition("/"):
            case ("servers", "/", name):
                server = views.server(gateway, name)
                if server is None:
                    raise UnknownName("server", name)
                return server
            case (kind, _, _):
                return {kind: getattr(views, kind)(gateway)}

    async def call(self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None) -> dict[str, Any]:
        result: dict[str, Any] = await self._app.call_tool(tool, arguments, timeout_s)
        return result

    def _tell_failures(self) -> None:
        for agent in self._app.upstreams.agents:
            if agent.reason is not None:
                note(f"note: {agent.reason}")


@asynccontextmanager
async def _local(config: Path) -> AsyncIterator[Local]:
    from mcp_gateway.app import App

    app = App(load_config(config, environ=os.environ), environ=os.environ, log_level="error")
    async with app.running():
        yield Local(app)


class _Refused(GatewayError):
    """A failure told by the running gateway, with its own code."""

    def __init__(self, code: str, message: str, server: str | None) -> None:
        super().__init__(message, server=server)
        self.code = code  # type: ignore[misc]  # a class attribute elsewhere; here it came over the wire


def _failure(body: Mapping[str, Any]) -> GatewayError:

    details = body.get("details") or {}
    code = str(details.get("code"))
    return _Refused(code if code in CODES else "internal_error", str(body.get("error")), details.get("server"))
