"""From the configuration to the terms of each room: plain values, made in one place.

A `Config` enters, what a room takes leaves. Nothing here starts, waits or keeps state.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mcp_gateway import __version__
from mcp_gateway.builtin import cgroup
from mcp_gateway.cache import Cache, Scope, TieredCache, open_cache
from mcp_gateway.call import Mode
from mcp_gateway.catalog import (
    Caps,
    ExposeRules,
    Filter,
    Order,
    Prefix,
    Route,
    SchemaCompat,
    ServerRules,
    StickyNames,
    View,
)
from mcp_gateway.config import Config, Server, StdioServer
from mcp_gateway.config.doors import Key
from mcp_gateway.config.dotted import subclass
from mcp_gateway.directory import Surface
from mcp_gateway.downstream.http import HttpRules
from mcp_gateway.downstream.server import Transport
from mcp_gateway.downstream.websocket import SocketRules
from mcp_gateway.errors import BadConfig
from mcp_gateway.llm import Settings
from mcp_gateway.middleware.audit import Arguments, AuditRules
from mcp_gateway.middleware.cache_rules import Caching
from mcp_gateway.middleware.limits import CallLimits, ServerRates
from mcp_gateway.observe.alerts import AlertRules
from mcp_gateway.observe.calls import Keeping
from mcp_gateway.observe.memory import Reading, of_machine
from mcp_gateway.sandbox import Container
from mcp_gateway.security.keys import ApiKey
from mcp_gateway.security.pins import Trust
from mcp_gateway.security.principal import Allowance, Grant
from mcp_gateway.showcase import Profile, ShowRules
from mcp_gateway.upstream.define import Authorize, credential, define, has_own_logins, login_settings, origin
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.oauth.desk import Way
from mcp_gateway.upstream.wall import Choose

if TYPE_CHECKING:
    from mcp_gateway.observe.spans import Spans


def transport(config: Config) -> Transport:
    """How the HTTP doors are reached."""
    server = config.server
    if server.tls is None:
        return Transport(trusted_proxies=server.trusted_proxies)
    return Transport(str(server.tls.cert), str(server.tls.key), server.trusted_proxies)


def http_rules(config: Config, host: str) -> HttpRules:
    """How the HTTP doors behave; `host` is the address that is bound."""
    server, limits = config.server, config.limits
    return HttpRules(
        allowed_hosts=(host, *server.allowed_hosts),
        allowed_origins=server.allowed_origins,
        base_path=server.base_path,
        max_body_bytes=limits.max_body,
        fast_lane=server.fast_lane,
        sockets=SocketRules(total=limits.max_sessions),
    )


def api_keys(config: Config) -> tuple[ApiKey, ...]:
    """The keys of the file. Raises BadConfig when one of them is a word that everybody tries first."""
    keys = tuple(map(_api_key, config.auth.keys))
    if weak := next((key for key in keys if key.weak), None):
        place = f"{config.path.name}: auth.keys.{weak.name}.hash"
        raise BadConfig(f"{place}: is the hash of an empty or a default key; make one with: mcp-gateway keys create")
    return keys


def _api_key(key: Key) -> ApiKey:
    return ApiKey(
        name=key.name,
        hash=key.hash,
        scopes=frozenset(key.scopes),
        grant=Grant(key.servers.allow, key.servers.deny, key.tools.allow, key.tools.deny, key.profile, key.mode),
        allowance=Allowance(key.rate, key.concurrency),
        expires_unix_s=key.expires.timestamp() if key.expires else None,
    )


def call_limits(config: Config) -> CallLimits:
    """What every caller may who has no allowance of its own, and what every server takes."""
    servers = {name: ServerRates(server.rate, server.tools.rate) for name, server in config.servers.items()}
    return CallLimits(config.limits.rate, config.limits.burst, servers)


def call_time_s(config: Config, route: Route) -> float:
    """How long a call may take; no time where its server has left the configuration."""
    server = config.servers.get(route.server or "")
    return 0.0 if server is None else server.tools.timeout.get(route.name, server.timeout)


def definitions(config: Config, environ: Mapping[str, str], choose: Choose, authorize: Authorize) -> list[Definition]:
    """Every configured server, in the order of the file.

    `choose` gives the sandbox of those that ask for one, `authorize` the credential of those that want a login.
    """
    return [
        define(
            name,
            server,
            environ=environ,
            max_message_bytes=config.limits.max_result,
            choose=choose,
            authorize=authorize,
            caps=caps(config),
            private_networks=config.security.private_networks,
            skipped=config.skipped.get(name),
        )
        for name, server in config.servers.items()
    ]


def way_to_log_in(config: Config, environ: Mapping[str, str], name: str) -> Way | None:
    """How a principal logs in to a server for itself, as a person; None where none does."""
    server = config.servers.get(name)
    if server is None or isinstance(server, StdioServer) or not has_own_logins(server):
        return None
    settings = login_settings(server, config.security.private_networks)
    if settings is None or settings.client_credentials:
        return None
    return Way(origin(name, server, environ, config.limits.max_result), str(server.url), settings)


def container(config: Config) -> Container | None:
    """What a container is made of; None where no image is named."""
    written = config.tools.execute.container
    return Container(written.image, written.engine, written.options) if written.image else None


def caps(config: Config) -> Caps:
    """How much of what a server offers is taken."""
    security = config.security
    return Caps(tools=security.max_tools, description_bytes=security.max_description, schema_bytes=security.max_schema)


def surface(config: Config, given: StickyNames) -> Surface:
    """What the configuration says of names, schemas and who is shown what; `given` are the names given out."""
    expose = config.expose
    return Surface(
        expose=ExposeRules(
            prefix=Prefix(expose.prefix),
            max_name=expose.max_name,
            schema_compat=SchemaCompat(expose.schema_compat),
            clean_texts=config.security.clean_texts,
            order=Order(expose.order),
            sticky={key: name for key, name in given.items() if key[1] in config.servers},
        ),
        show=show_rules(config),
        servers={
            name: ServerRules(
                prefix=server.prefix,
                include=tuple(server.tools.include),
                exclude=tuple(server.tools.exclude),
                rename=server.tools.rename,
                describe=server.tools.describe,
                named_elsewhere={"tools.timeout": server.tools.timeout, "cache.tools": server.cache.tools},
            )
            for name, server in config.servers.items()
        },
    )


def trust(config: Config) -> dict[str, Trust]:
    """How far each server's tool definitions are trusted."""
    return {name: Trust(server.trust) for name, server in config.servers.items()}


def show_rules(config: Config) -> ShowRules:
    """Who is shown what."""
    expose = config.expose
    return ShowRules(
        mode=Mode(expose.mode),
        max_tools=expose.max_tools,
        max_tokens=expose.max_tokens,
        pinned=expose.pinned,
        clients={name: Mode(rule.mode) for name, rule in expose.clients.items()},
        profiles={
            name: Profile(
                view=View((Filter(profile.servers, tools=profile.tools.allow, deny_tools=profile.tools.deny),)),
                mode=None if profile.mode is None else Mode(profile.mode),
            )
            for name, profile in config.profiles.items()
        },
    )


def check_profile(config: Config, name: str | None) -> None:
    """Raises BadConfig when a profile that is to be served is not in the file."""
    if name is not None and name not in config.profiles:
        known = ", ".join(config.profiles) or "none"
        raise BadConfig(f"{config.path.name}: profiles.{name}: there is no such profile; known: {known}")


def caching(config: Config, login: Callable[[str, str | None], str]) -> dict[str, Caching]:
    """Every server's `cache` entry, in the cache's terms; `login` tells whose login its calls are authorized by."""
    return {
        name: Caching(
            tools=tuple(server.cache.tools),
            ttl_s=config.cache.ttl if server.cache.ttl is None else server.cache.ttl,
            auto=server.cache.auto,
            stale_s=server.cache.stale,
            credential=credential(server, login(name, None)),
            owner=_owner(name, server, login),
            scope=Scope.SESSION if server.isolation == "session" else Scope.PRINCIPAL,
        )
        for name, server in config.servers.items()
    }


def _owner(name: str, server: Server, login: Callable[[str, str | None], str]) -> Callable[[str], str] | None:
    """What tells answers apart that principals do not share, whatever the server says of them."""
    if has_own_logins(server):
        return partial(login, name)
    return str if server.isolation == "user" else None


def model_settings(config: Config) -> Settings:
    """The `llm` section as the model's provider takes it."""
    llm = config.llm
    folder = _embedding_folder(config)
    return Settings(
        model=llm.model,
        base_url=llm.base_url,
        api_key=llm.api_key.get_secret_value() if llm.api_key else None,
        embedding_model=llm.embedding_model if folder is None else None,
        embedding_folder=folder,
        timeout_s=llm.timeout,
        temperature=llm.temperature,
        keeps_all=llm.cache == "always",
    )


def embedding_name(config: Config) -> str:
    """What the model behind `POST embeddings` is called: never a path of this machine."""
    folder = _embedding_folder(config)
    return folder.name if folder is not None else config.llm.embedding_model or config.llm.model or ""


def _embedding_folder(config: Config) -> Path | None:
    """What is written as a path, beside the configuration file."""
    named = config.llm.embedding_model
    if named is None or not named.startswith(("/", "./", "../", "~/")):
        return None
    return config.path.parent / Path(named).expanduser()


def keeping(config: Config) -> Keeping:
    """How long calls are recorded."""
    return Keeping(config.observability.calls.keep)


def alert_rules(config: Config) -> AlertRules:
    """When somebody is told."""
    alerts = config.observability.alerts
    return AlertRules(alerts.error_rate, alerts.window, alerts.latency, alerts.memory, alerts.expiry)


def webhook_url(config: Config) -> str | None:
    """Who is told, besides the log."""
    webhook = config.observability.alerts.webhook
    return None if webhook is None else webhook.get_secret_value()


def spans(config: Config, environ: Mapping[str, str]) -> Spans | None:
    """Where calls are told of as spans; its libraries are imported only then.

    Raises BadConfig where they are not installed.
    """
    collector = config.observability.otlp
    if collector is None:
        return None
    try:
        from mcp_gateway.observe.spans import Spans
    except ModuleNotFoundError:
        fix = "pip install 'mcp-gateway-server[otel]', or leave the setting out"
        raise BadConfig(f"{config.path.name}: observability.otlp: exporting traces needs an extra: {fix}") from None
    return Spans(collector, __version__, environ)


def audit_rules(config: Config) -> AuditRules:
    """What the record of calls says besides the calls."""
    return AuditRules(_policy(config), Arguments(config.observability.calls.arguments))


def _policy(config: Config) -> str:
    """What names this configuration in the record of calls: the start of the file's digest, 12 hexadecimal digits."""
    try:
        return hashlib.sha256(config.path.read_bytes()).hexdigest()[:12]
    except OSError:
        return "unknown"


def memory_reading() -> Reading:
    """The memory of this machine, and of the container that we are in, if any."""
    ours = cgroup.memory_use()
    return of_machine() if ours is None else of_machine(ours.limit, ours.used)


def kept_answers(config: Config, file: Path) -> TieredCache:
    """The cache; `file` is where its second level is kept when the configuration leaves that to us.

    Raises BadConfig when the configuration names a back end that is none.
    """
    memory, disk, backend = config.cache.memory, config.cache.disk, config.cache.backend
    path = {"auto": file, "off": None}.get(str(disk.path), Path(str(disk.path)))
    return open_cache(
        path=path,
        max_entries=memory.max_entries,
        max_bytes=memory.max_bytes,
        max_disk_bytes=disk.max_bytes,
        ttl_s=config.cache.ttl,
        second=None if backend in ("auto", "redis") else subclass("cache.backend", backend, Cache)(),
    )
