"""From a configured server to a `Definition`: how it is dialled, how it is kept, what identifies it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mcp_gateway.catalog.vetting import DEFAULT_CAPS, Caps
from mcp_gateway.config import HttpServer, Server, SseServer, StdioServer
from mcp_gateway.config.servers import ChildSandbox
from mcp_gateway.errors import UpstreamStartFailed
from mcp_gateway.upstream.child import child_environment, resolve_command
from mcp_gateway.upstream.definition import AgentRules, Definition, Dial, Isolation, Ways
from mcp_gateway.upstream.dispatch.address import TlsSettings, proxy_for
from mcp_gateway.upstream.dispatch.authorization import Authorization
from mcp_gateway.upstream.dispatch.base import Dispatcher, Listener
from mcp_gateway.upstream.dispatch.http import HttpDispatcher
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.dispatch.sse import SseDispatcher
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher
from mcp_gateway.upstream.lifecycle import RestartPolicy
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.session import Era
from mcp_gateway.upstream.wall import Choose, WalledDispatcher, Walls
from mcp_gateway.wire import encode

Authorize = Callable[[str, str, LoginSettings, str | None], Authorization]
"""Gives the credential of a server by its name, address and settings, for one principal or (None) for everybody."""

DISABLED_IN_FILE = "switched off in the configuration"

_OF_OTHERS = frozenset({"name", "disabled", "prefix", "tools", "cache", "trust", "rate"})
"""Keys that change how an offer is shown, what is cached or how often it is called, and no connection."""


def define(
    name: str,
    server: Server,
    *,
    environ: Mapping[str, str],
    max_message_bytes: int,
    choose: Choose,
    authorize: Authorize,
    caps: Caps = DEFAULT_CAPS,
    private_networks: tuple[str, ...] = (),
    skipped: str | None = None,
) -> Definition:
    """The definition of one server; `skipped` says why it cannot be used today.

    `choose` gives the sandbox, `authorize` the credential of a server that wants a login.
    """
    login = login_settings(server, private_networks)

    def ways(principal: str | None) -> Ways:
        return _ways(name, server, environ, max_message_bytes, choose, authorize, login, principal)

    dial, fallback = ways(None)
    return Definition(
        name=name,
        transport=server.type,
        fingerprint=_fingerprint(server, environ),
        settings=_settings(server, max_message_bytes, caps, login),
        rules=_rules(server, caps),
        dial=dial,
        fallback=fallback,
        isolation=Isolation(server.isolation),
        disabled=skipped or (DISABLED_IN_FILE if server.disabled else None),
        personal=ways if has_own_logins(server) else None,
    )


def has_own_logins(server: Server) -> bool:
    """Whether each principal logs in to the server for itself."""
    return server.isolation == "user" and login_settings(server) is not None


def _ways(
    name: str,
    server: Server,
    environ: Mapping[str, str],
    max_message_bytes: int,
    choose: Choose,
    authorize: Authorize,
    login: LoginSettings | None,
    principal: str | None,
) -> Ways:
    """The ways to reach a server: an `http` entry may turn out to speak HTTP+SSE only."""
    if isinstance(server, StdioServer):
        return _stdio(name, server, environ, max_message_bytes, choose), None
    authorization = None if login is None else authorize(name, str(server.url), login, principal)
    sse = _remote(name, server, environ, max_message_bytes, SseDispatcher, authorization)
    if isinstance(server, SseServer):
        return sse, None
    return _remote(name, server, environ, max_message_bytes, HttpDispatcher, authorization), sse


def _stdio(name: str, server: StdioServer, environ: Mapping[str, str], max_message_bytes: int, choose: Choose) -> Dial:
    env = child_environment(_revealed(server.env), environ)
    cwd = None if server.cwd is None else str(server.cwd)
    argv = (server.command, *server.args)

    def dial(listener: Listener) -> Dispatcher:
        return StdioDispatcher(name, argv, env=env, cwd=cwd, listener=listener, max_message_bytes=max_message_bytes)

    def dial_walled(listener: Listener) -> Dispatcher:
        return WalledDispatcher(
            name,
            argv,
            walls=walls,
            choose=choose,
            env=env,
            cwd=cwd,
            listener=listener,
            max_message_bytes=max_message_bytes,
        )

    walls = _walls(server.sandbox)
    return dial if server.sandbox is None else dial_walled


def _walls(sandbox: ChildSandbox | None) -> Walls:
    if sandbox is None:
        return Walls()
    return Walls(
        network=sandbox.network,
        read=tuple(map(str, sandbox.read)),
        workdir=_path(sandbox.workdir),
        memory_bytes=sandbox.memory,
        pids=sandbox.processes,
    )


def _remote(
    name: str,
    server: HttpServer | SseServer,
    environ: Mapping[str, str],
    max_message_bytes: int,
    kind: type[HttpDispatcher] | type[SseDispatcher],
    authorization: Authorization | None,
) -> Dial:
    way = _way(name, server, environ, max_message_bytes, authorization)
    return lambda listener: kind(way(), listener=listener)


def origin(name: str, server: HttpServer | SseServer, environ: Mapping[str, str], max_message_bytes: int) -> Origin:
    """The way to a server before there is a login."""
    return _way(name, server, environ, max_message_bytes)()


def _way(
    name: str,
    server: HttpServer | SseServer,
    environ: Mapping[str, str],
    max_message_bytes: int,
    authorization: Authorization | None = None,
) -> Callable[[], Origin]:
    """Each connection has an origin of its own."""
    return partial(
        Origin,
        name,
        str(server.url),
        headers=_revealed(server.headers),
        tls=_tls(server),
        proxy=_proxy(server, environ),
        max_message_bytes=max_message_bytes,
        authorization=authorization,
    )


def login_settings(server: Server, private_networks: tuple[str, ...] = ()) -> LoginSettings | None:
    """How the login of a server is wanted; None when it wants none."""
    if isinstance(server, StdioServer) or server.auth is None:
        return None
    secret = server.auth.client_secret
    return LoginSettings(
        client_id=server.auth.client_id,
        client_secret=None if secret is None else secret.get_secret_value(),
        issuer=server.auth.issuer,
        scopes=server.auth.scopes,
        redirect_port=server.auth.redirect_port,
        client_credentials=server.auth.client_credentials,
        private_networks=private_networks,
    )


def _tls(server: HttpServer | SseServer) -> TlsSettings:
    return TlsSettings(_path(server.tls.ca), _path(server.tls.cert), _path(server.tls.key), server.tls.verify)


def _proxy(server: HttpServer | SseServer, environ: Mapping[str, str]) -> str | None:
    return proxy_for(str(server.url), environ) if server.proxy is None else server.proxy.get_secret_value()


def _rules(server: Server, caps: Caps) -> AgentRules:
    first_s, cap_s = server.restart.backoff
    return AgentRules(
        timeout_s=server.timeout,
        tool_timeouts_s=dict(server.tools.timeout),
        startup_timeout_s=server.startup_timeout,
        timeout_resets_on_progress=server.timeout_resets_on_progress,
        era=_era(server),
        lazy=server.lazy,
        idle_stop_s=server.idle_stop,
        restart=RestartPolicy(server.restart.max, first_s, cap_s),
        concurrency=server.concurrency,
        queue=server.queue,
        caps=caps,
    )


def _era(server: Server) -> Era:
    """HTTP+SSE is gone from modern revisions, so there is nothing to find out (protocol facts, 2)."""
    era = Era(server.era)
    return Era.LEGACY if era is Era.AUTO and isinstance(server, SseServer) else era


def _settings(server: Server, max_message_bytes: int, caps: Caps, login: LoginSettings | None) -> str:
    """What a connection is made, read and kept by: a change of anything else leaves it alone."""
    entry = server.model_dump(mode="python", exclude=set(_OF_OTHERS))
    return _digest([entry, server.tools.timeout, max_message_bytes, astuple(caps), login and login.private_networks])


def _fingerprint(server: Server, environ: Mapping[str, str]) -> str:
    """What decides the upstream's era and offer: program and arguments, or address and credentials.

    A stdio program counts with its size and time of change, so that an update is noticed. Secrets enter only a digest.
    """
    if not isinstance(server, StdioServer):
        return _digest(["remote", str(server.url), sorted(_revealed(server.headers).items())])
    env = sorted(_revealed(server.env).items())
    return _digest(["stdio", server.command, server.args, str(server.cwd), env, _program_version(server, environ)])


def credential(server: Server, login: str = "") -> str:
    """A digest of what calls to the server are authorized by: another credential or login may get another answer."""
    secrets = server.env if isinstance(server, StdioServer) else server.headers
    return _digest([sorted(_revealed(secrets).items()), login])


def _program_version(server: StdioServer, environ: Mapping[str, str]) -> list[int]:
    """Size and time of change of the program's file; nothing when there is none."""
    path = child_environment(_revealed(server.env), environ).get("PATH", "")
    cwd = None if server.cwd is None else str(server.cwd)
    try:
        status = Path(resolve_command(server.command, path, cwd)).stat()
    except (UpstreamStartFailed, OSError):
        return []
    return [status.st_size, status.st_mtime_ns]


def _digest(value: Any) -> str:
    return hashlib.sha256(encode(_plain(value))).hexdigest()


def _plain(value: Any) -> Any:
    """Settings as JSON-ready values; secrets are revealed, since only a digest leaves this module."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return str(value) if isinstance(value, Path) else value


def _revealed(secrets: Mapping[str, SecretStr]) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in secrets.items()}


def _path(path: Path | str | None) -> str | None:
    return None if path is None else str(path)
