"""The gateway a command talks to: the running one of the same file, else one of its own in this process.

Both answer with the bodies of REST, so a command does not know the difference.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

import anyio
import anyio.to_thread

from mcp_gateway.cli.options import config_path
from mcp_gateway.cli.output import Output, note
from mcp_gateway.config import folders, load_config
from mcp_gateway.downstream.runfile import RunFile, Running
from mcp_gateway.errors import CODES, METHOD_NOT_FOUND, GatewayError, NotRunning, RpcError, UnknownName

if TYPE_CHECKING:
    from mcp_gateway.app import App
    from mcp_gateway.wire import Raw, RawParams

SETTLE_WITHIN_S = 15.0
"""How long a command waits for servers that are still starting (our choice)."""

LIVES_WITHIN_S = 2.0
"""A gateway that runs answers its health check much sooner; whoever else has its port now may not (our choice)."""

ANSWER_WITHIN_S = 3600.0
"""The gateway has deadlines of its own; this only bounds a dead connection."""


Progress = Callable[[Mapping[str, Any]], None]
"""Hears the params of progress notifications."""


class Answers(Protocol):
    """What commands ask a gateway."""

    async def get(self, path: str) -> Any:
        """The body of `GET /api/v1/{path}`. Raises GatewayError."""

    async def tool(self, name: str) -> Mapping[str, Any] | None:
        """One tool's definition, None when there is no such tool. Raises GatewayError."""
        ...

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, progress: Progress | None = None
    ) -> dict[str, Any]:
        """The `CallToolResult`. `progress` hears of a call in this process only. Raises GatewayError."""
        ...


class Refused(GatewayError):
    """A failure told by a gateway or by an upstream, with a code of its own; `upstream_error` is an upstream's."""

    def __init__(self, code: str, message: str, server: str | None = None) -> None:
        super().__init__(message, server=server)
        self.code = code  # type: ignore[misc]  # a class attribute elsewhere; here it came from outside


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


class Remote:
    """A gateway in another process, over its REST door."""

    def __init__(self, running: Running) -> None:
        self.url = running.url
        self._token = running.token

    async def lives(self) -> bool:
        """Whether the address still belongs to a gateway; the token is not shown to whoever answers."""
        return await anyio.to_thread.run_sync(self._lives)

    async def get(self, path: str) -> Any:
        return await self._ask("GET", f"/api/v1/{path}", None)

    async def delete(self, path: str) -> Any:
        """The body of `DELETE /api/v1/{path}`. Raises GatewayError."""
        return await self._ask("DELETE", f"/api/v1/{path}", None)

    async def tool(self, name: str) -> Mapping[str, Any] | None:
        return _named(name, (await self.get("tools"))["tools"])

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, progress: Progress | None = None
    ) -> dict[str, Any]:
        body = json.dumps({"arguments": arguments} | ({} if timeout_s is None else {"timeout_s": timeout_s}))
        result: dict[str, Any] = await self._ask("POST", f"/api/v1/tools/{quote(tool, safe='')}/call", body)
        return result

    async def _ask(self, method: str, path: str, body: str | None) -> Any:
        """Abandoned on Ctrl-C: the thread would hold up the end of the process until the answer is there."""
        return await anyio.to_thread.run_sync(self._answer, method, path, body, abandon_on_cancel=True)

    def _lives(self) -> bool:
        try:
            status, text = self._exchange("GET", "/healthz", None, {}, LIVES_WITHIN_S)
        except (OSError, HTTPException):
            return False
        return status == 200 and text == b"ok\n"

    def _answer(self, method: str, path: str, body: str | None) -> Any:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        try:
            status, text = self._exchange(method, path, body, headers, ANSWER_WITHIN_S)
            decoded = json.loads(text)
        except (OSError, HTTPException, ValueError) as gone:
            raise NotRunning(f"the gateway at {self.url} does not answer ({type(gone).__name__})") from None
        if status >= 400:
            raise _failure(decoded)
        return decoded

    def _exchange(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], timeout_s: float
    ) -> tuple[int, bytes]:
        connection = self._connection(timeout_s)
        try:
            connection.request(method, urlsplit(self.url).path + path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme == "http":
            return HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
        # Its certificate names a public host, we dial the address of the run file, which only we can write.
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection(parts.hostname or "", parts.port, timeout=timeout_s, context=context)


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
        return _named(name, views.tools(self._app.gateway, WHOLE))

    async def call(
        self, tool: str, arguments: Mapping[str, Any], timeout_s: float | None, progress: Progress | None = None
    ) -> dict[str, Any]:
        from mcp_gateway.call import QUIET

        try:
            return await self._app.call_tool(tool, arguments, timeout_s, ProgressSink(progress) if progress else QUIET)
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


class ProgressSink:
    """The way back to a command, which follows progress and cannot be asked anything."""

    owner: str = "command-line"
    token: str | int | None = 1

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def notify(self, method: str, params: RawParams) -> None:
        if method == "notifications/progress":
            self._progress(params)

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(METHOD_NOT_FOUND, f"declined: a command has nobody to ask: {method}")


@asynccontextmanager
async def _local(output: Output) -> AsyncIterator[Local]:
    config = load_config(config_path(output), environ=os.environ)
    from mcp_gateway.app import App  # here: a bad configuration is told without a second of imports

    app = App(config, environ=os.environ, log_level=output.level or "error")
    async with app.running():
        yield Local(app)


def _named(name: str, tools: list[dict[str, Any]]) -> Mapping[str, Any] | None:
    return next((tool for tool in tools if tool["name"] == name), None)


def _failure(body: Any) -> GatewayError:
    """The error body of REST as what was raised over there."""
    if not isinstance(body, dict):
        return Refused("internal_error", "the gateway answered with an error of unknown shape")
    details = body.get("details") or {}
    code = str(details.get("code"))
    known = code in CODES or code == "upstream_error"
    return Refused(code if known else "internal_error", str(body.get("error")), details.get("server"))
