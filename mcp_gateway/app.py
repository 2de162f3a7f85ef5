"""The composition root: the only place where parts are put together.

A `Config` enters; a process that serves it leaves. Which middleware a call passes,
and in which order, is the list in `App.__init__`.
"""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
import anyio.to_thread
from mcp.server.runner import serve_dual_era_loop

from mcp_gateway.access import Access
from mcp_gateway.builtin import MCPFunctions, Services, enabled
from mcp_gateway.builtin.catalog_search import CatalogSearch
from mcp_gateway.builtin.finder import finders
from mcp_gateway.call import QUIET, UNSELECTED, Call, Client, Selection, Sink
from mcp_gateway.catalog import Catalog, Kind, View
from mcp_gateway.config import Config, ahead, file_key, folders, load_config
from mcp_gateway.config.watch import changes, signature, sources
from mcp_gateway.downstream import views
from mcp_gateway.downstream.endpoint import Endpoint
from mcp_gateway.downstream.http import http_app
from mcp_gateway.downstream.rest import Embedded, Process
from mcp_gateway.downstream.runfile import RunFile
from mcp_gateway.downstream.server import HttpServer, address, bind
from mcp_gateway.downstream.sessions import Sessions
from mcp_gateway.downstream.stdio import claim, stdio_streams
from mcp_gateway.errors import BadConfig, UnknownName
from mcp_gateway.events import Events, OfferChanged, ServerStateChanged
from mcp_gateway.gateway import Gateway
from mcp_gateway.llm.embeddings import Embeddings
from mcp_gateway.llm.models import Models
from mcp_gateway.middleware.audit import Audit
from mcp_gateway.middleware.cache import CacheMiddleware
from mcp_gateway.middleware.cache_rules import CacheRules
from mcp_gateway.middleware.heartbeat import Heartbeat
from mcp_gateway.middleware.limits import LimitsMiddleware
from mcp_gateway.middleware.shedding import Shedding
from mcp_gateway.middleware.tracing import tracing
from mcp_gateway.observe.alerts import Alerts
from mcp_gateway.observe.audit_file import AuditFile
from mcp_gateway.observe.calls import Calls
from mcp_gateway.observe.logging import configure_logging
from mcp_gateway.observe.memory import MemoryWatch
from mcp_gateway.observe.reading import Reading
from mcp_gateway.observe.redaction import Redactor
from mcp_gateway.observe.webhook import Webhook
from mcp_gateway.revisions import LATEST_LEGACY, is_modern
from mcp_gateway.sandbox.choice import SandboxChoice
from mcp_gateway.security.pin_desk import PinDesk
from mcp_gateway.security.pin_file import PinFile
from mcp_gateway.security.principal import Principal
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.kept_names import KeptNames
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.upstream.oauth.logins import Logins
from mcp_gateway.upstream.snapshot import Snapshot
from mcp_gateway.wire import loads
from mcp_gateway.wiring import (
    alert_rules,
    caching,
    call_limits,
    caps,
    check_profile,
    container,
    definitions,
    embedding_name,
    http_rules,
    keeping,
    kept_answers,
    kept_arguments,
    memory_reading,
    model_settings,
    policy,
    spans,
    surface,
    transport,
    trust,
    webhook_url,
)

if TYPE_CHECKING:
    from mcp_gateway.observe.metrics import Metrics

logger = logging.getLogger(__name__)

SAVE_WITHIN_S = 0.5
"""What saving may take once the gateway stops; stdio has to end within 1.5 s (design, decision 14)."""

SAVE_AFTER_S = 1.0
"""Changed offers are written this long after the first change, several at once (our choice)."""


class App:
    """Everything of one process, put together from one configuration."""

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        log_level: str | None = None,
        selection: Selection = UNSELECTED,
    ) -> None:
        """`log_level` overrides the configured one; `selection` is what clients get that ask for nothing else.

        Raises BadConfig when there is no such profile, or the file asks for a protection that is not there.
        """
        ahead.check(config)
        check_profile(config, selection.profile)
        self.config = config
        self._selection = selection
        self.reload_error: str | None = None
        self._started_with = config
        self._read_from = signature(sources(config, environ))
        self._environ = environ
        self._log_level = log_level
        self._redactor = Redactor()
        self._configure_logging(config)
        state, key = folders(environ).state, file_key(config.path)
        self._run_file = RunFile(state, config.path)
        self._snapshot = Snapshot(state / "catalog" / f"{key}.json", caps(config))
        self._names = KeptNames(state / "names" / f"{key}.json")
        self._pin_file = PinFile(state / "pins" / f"{key}.json")
        self._pins_read_from = signature([self._pin_file.path])
        self.pins = PinDesk(self._pin_file, on_change=lambda: self.gateway.judge_again())
        self.pins.configure(trust(config))
        self.sandbox = SandboxChoice(
            config.tools.execute.runner,
            private=(state, folders(environ).cache, config.path),
            memory=state / "sandbox.json",
            on_change=self._offer_functions,
            container=container(config),
        )
        self.access = Access(config, state, environ)
        self.logins = Logins(state, environ, self._redactor.know_newest)
        self._definitions = self._define(config)
        self._offers_changed = anyio.Event()
        self._heard = anyio.Event()

        self.events = Events()
        saved = self._snapshot.load(_fingerprints(self._definitions))
        self.upstreams = MCPAgentManager(self.events, EraBook(state / "eras.json"), saved)
        self.cache = kept_answers(config, folders(environ).cache / f"{key}.sqlite")
        self.models = Models(self.cache, ttl_s=config.cache.ttl)
        self.models.configure(config.llm.provider, model_settings(config))
        self._services = Services(
            self._settled_catalog,
            allowed=lambda call: self.gateway.showcase.view(call.client),
            sandbox=self.sandbox,
            environ=environ,
            route=lambda call, sink: self.gateway.route(call, sink),
            model=lambda: self.models.current,
            llm=lambda: self.config.llm,
            index=CatalogSearch(Embeddings(lambda: self.models.current)),
        )
        self.functions = MCPFunctions((), health=self._health, settled=self.sandbox.settled)
        self._configure_functions()
        self.webhook = Webhook(lambda: webhook_url(self.config), {"gateway": config.path.name}, environ)
        self.alerts = Alerts(alert_rules(config), self.reading, self.webhook.send, state)
        self.heartbeat = Heartbeat()
        self.spans = spans(config, environ)
        self._policy = policy(config)
        self._audit = Audit(self.events, self._redactor.clean, lambda: self._policy)
        self._audit.arguments = kept_arguments(config)
        self.calls = Calls(AuditFile(state / "audit", key), keeping(config))
        self.memory = MemoryWatch(memory_reading)
        self._limits = LimitsMiddleware(call_limits(config))
        self._cache_rules = CacheRules(
            caching(config, self.logins.login), lambda: self.gateway.catalog, self._states_ttl
        )
        self._cached = CacheMiddleware(self.cache, self._cache_rules, self._owns)
        self.gateway = Gateway(
            self.upstreams,
            self.functions,
            self.events,
            surface(config, self._names.load(config.servers)),
            MCPFunctions(finders(self._services)),
            middleware=[
                self.heartbeat,  # outermost: silence is broken whatever the layers below wait for
                *([tracing] if self.spans else []),  # before whoever tells of the call's span
                self._audit,  # sees all that follow, the cache included
                Shedding(lambda: self.memory.reason),
                self._limits,
                self._cached,  # innermost: whoever may not make a call may not have its kept answer either
            ],
            refused=self._audit.refused,
            judge=self.pins.judge,
        )
        self.sessions = Sessions(self.gateway)
        self.endpoint = Endpoint(self.gateway, self.sessions, selection, max_sessions=config.limits.max_sessions)
        self.events.subscribe(self.sessions.hear)
        self.events.subscribe(self._cached.hear)
        self.events.subscribe(self._services.index.hear)
        self.events.subscribe(self.calls.hear)
        self.events.subscribe(self.alerts.hear)
        if self.spans is not None:
            self.events.subscribe(self.spans.hear)
        self.events.subscribe(self._hear)

    # -- doors ---------------------------------------------------------------------------------------------------

    async def serve_http(self, host: str, port: int, on_ready: Callable[[str], None]) -> None:
        """Serve `/mcp`, `/sse` and REST until a signal; `on_ready` gets `http://HOST:PORT`.

        Raises BadConfig, PortBusy.
        """
        self.access.host = host
        self.access.check_start()
        listener = bind(host, port, guarded=self.access.is_guarded)
        way_in = transport(self.config)
        url = address(listener, way_in)
        metrics = self._metrics() if self.config.observability.metrics else None
        rules = http_rules(self.config, host)
        render = None if metrics is None else metrics.render
        app = http_app(self.gateway, self.endpoint, rules, self.process, self.access, render)
        server = HttpServer(app, self.endpoint.in_flight, lambda: self._ready(url, on_ready), way_in)
        try:
            async with self.running() as group:
                if metrics is not None:
                    group.start_soon(metrics.run)
                group.start_soon(self._obey_signals, server.stop, server.stop_now)
                await server.serve(sockets=[listener])
        finally:
            self._run_file.remove()
            listener.close()

    async def serve_stdio(self) -> None:
        """Serve standard input and output until the input ends or a signal arrives."""
        input_fd, output_fd = claim()
        stopping = anyio.Event()
        async with self.running() as group:
            with anyio.CancelScope() as serving:
                group.start_soon(self._obey_signals, _async(stopping.set), serving.cancel)
                async with stdio_streams(input_fd, output_fd, self.config.limits.max_body, stopping) as streams:
                    await serve_dual_era_loop(self.endpoint.server, *streams, lifespan_state=None)

    async def known(self, tool: str, within_s: float) -> bool:
        """Whether there is such a tool; waits while a server that never told what it offers may still bring it."""
        with anyio.move_on_after(within_s):
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_settled, group.cancel_scope)
                while self.gateway.catalog.find(Kind.TOOL, tool) is None:
                    await self._heard.wait()
                group.cancel_scope.cancel()
        return self.gateway.catalog.find(Kind.TOOL, tool) is not None

    async def tried(self, within_s: float, concerned: Callable[[str], bool]) -> None:
        """Wait until no upstream that is `concerned` is being connected for the first time any more."""
        with anyio.move_on_after(within_s):
            while self.trying(concerned):
                await self._heard.wait()

    def trying(self, concerned: Callable[[str], bool]) -> list[str]:
        """The upstreams that are neither ready nor have failed once."""
        return [
            agent.name
            for agent in self.upstreams.agents
            if concerned(agent.name) and agent.state is State.CONNECTING and not agent.failures
        ]

    async def _until_settled(self, waiting: anyio.CancelScope) -> None:
        await self.upstreams.settled(math.inf)
        await self.functions.settled()
        waiting.cancel()

    async def call_tool(
        self, tool: str, arguments: Mapping[str, Any], deadline_s: float | None, sink: Sink = QUIET
    ) -> dict[str, Any]:
        """Call one tool for the command line; the sink hears of its progress. Raises GatewayError, RpcError."""
        client = Client(key="command-line", revision=LATEST_LEGACY, door="command line")
        call = Call("tools/call", {"name": tool, "arguments": arguments}, client, deadline_s=deadline_s)
        result: dict[str, Any] = loads(await self.gateway.route(call, sink))
        return result

    def _metrics(self) -> Metrics:
        from mcp_gateway.observe.metrics import Metrics  # its library takes 50 ms, which other commands spare

        metrics = Metrics(lambda: self.config.servers, self.reading)
        self.events.subscribe(metrics.hear)
        return metrics

    def _ready(self, url: str, on_ready: Callable[[str], None]) -> None:
        try:
            running = self._run_file.write(url + self.config.server.base_path)
            self.access.authentication.local_token = running.token
        except OSError as refused:
            logger.warning("app.run_file_not_written reason=%s", refused.strerror)
        on_ready(url)

    # -- life ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[anyio.abc.TaskGroup]:
        """Everything that lives beside the doors; upstreams start at once and are waited for by nobody."""
        failure: Exception | None = None
        async with aclosing(self.models), anyio.create_task_group() as group, self._cached:
            await group.start(self.logins.run, self._login_changed)
            await group.start(self.upstreams.run, self._definitions)
            group.start_soon(self.gateway.run)
            group.start_soon(self.sessions.run)
            group.start_soon(self.heartbeat.run)
            group.start_soon(self.memory.run)
            group.start_soon(self._services.index.run, lambda: self.gateway.catalog)
            group.start_soon(self.sandbox.run)
            group.start_soon(self.calls.run)
            group.start_soon(self.alerts.run)
            group.start_soon(self.webhook.run)
            group.start_soon(self._save_changes)
            group.start_soon(self._watch_file)
            group.start_soon(self.pins.run)
            group.start_soon(self._watch_pins)
            try:
                yield group
            except Exception as raised:  # boundary: the group would wrap it; it goes on unchanged below
                failure = raised
            finally:
                group.cancel_scope.cancel()
        with anyio.move_on_after(SAVE_WITHIN_S, shield=True):
            await self.calls.flush()
        if self._offers_changed.is_set():
            with anyio.move_on_after(SAVE_WITHIN_S, shield=True):
                await self._save()
        with anyio.move_on_after(SAVE_WITHIN_S, shield=True):
            await self.pins.save()
        if self.spans is not None:
            with anyio.move_on_after(SAVE_WITHIN_S, shield=True):
                await self.spans.close()
        if failure is not None:
            raise failure

    async def _obey_signals(self, stop: Callable[[], Any], stop_now: Callable[[], None]) -> None:
        """SIGTERM and SIGINT stop, a second one stops at once; SIGHUP reads the configuration again."""
        stopping = False
        async with anyio.create_task_group() as group:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                async for received in signals:
                    if received == signal.SIGHUP:
                        self.reload()
                    elif stopping:
                        stop_now()
                    else:
                        stopping = True
                        logger.info("app.stopping signal=%s", received.name)
                        group.start_soon(stop)

    # -- the configuration, again --------------------------------------------------------------------------------

    def reload(self) -> bool:
        """Read the file again: all of it, or none of it. False, and `reload_error`, when it is bad."""
        try:
            config = load_config(self.config.path, environ=self._environ)
            ahead.check(config)
            check_profile(config, self._selection.profile)
            defined = self._define(config)
            self.access.configure(config)
            self.models.configure(config.llm.provider, model_settings(config))
        except BadConfig as bad:
            return self._refuse_reload(bad.message)
        except Exception as fault:  # boundary: a file that breaks our own reading must not end what works
            logger.exception("app.reload_failed")
            return self._refuse_reload(f"reading it failed ({type(fault).__name__}); the log has more")
        self.reload_error = None
        self._put_in_force(config, defined)
        logger.info("app.reloaded servers=%d restart_needed=%s", len(config.servers), self.restart_needed())
        return True

    def _reload_asked_for(self) -> list[str]:
        """As `reload`: the settings that still need a restart. Raises BadConfig."""
        if not self.reload():
            raise BadConfig(self.reload_error or "the configuration cannot be used")
        return self.restart_needed()

    def _refuse_reload(self, reason: str) -> bool:
        self.reload_error = reason
        logger.error("app.reload_refused problems=%s", reason)
        return False

    def _put_in_force(self, config: Config, defined: list[Definition]) -> None:
        self._configure_logging(config)
        self.config = config
        self._policy = policy(config)
        self.calls.keeping = keeping(config)
        self._audit.arguments = kept_arguments(config)
        self._definitions = defined
        self._configure_functions()
        self.upstreams.apply(defined)
        self.alerts.configure(alert_rules(config))
        self.pins.configure(trust(config))
        self.gateway.configure(surface(config, self.gateway.catalog.sticky))
        self._services.index.renew()
        self._cache_rules.configure(caching(config, self.logins.login))
        self._limits.limits = call_limits(config)

    def restart_needed(self) -> list[str]:
        """Settings that were changed in the file and take effect at the next start only."""
        old, new = self._started_with, self.config
        pairs = {
            "server": (old.server, new.server),
            "auth.oauth": (old.auth.oauth, new.auth.oauth),
            "auth.signatures.skew": (old.auth.signatures.skew, new.auth.signatures.skew),
            "limits": (old.limits, new.limits),
            "cache.memory": (old.cache.memory, new.cache.memory),
            "cache.disk": (old.cache.disk, new.cache.disk),
            "cache.backend": (old.cache.backend, new.cache.backend),
            "observability.otlp": (old.observability.otlp, new.observability.otlp),
            "observability.metrics": (old.observability.metrics, new.observability.metrics),
            "tools.execute.runner": (old.tools.execute.runner, new.tools.execute.runner),
            "tools.execute.container": (old.tools.execute.container, new.tools.execute.container),
        }
        return [name for name, (before, after) in pairs.items() if before != after]

    def _configure_functions(self) -> None:
        tools = self.config.tools
        if tools.execute.enabled is not False:
            self.sandbox.want()
        self.functions.configure(enabled(tools, self._services), dict(tools))

    def _offer_functions(self) -> None:
        """Whether there is a sandbox turned out otherwise: the built-in tools are offered anew."""
        self._configure_functions()
        self.gateway.configure(surface(self.config, self.gateway.catalog.sticky))
        self._notice()

    async def _settled_catalog(self) -> Catalog:
        await self.gateway.settled()
        return self.gateway.catalog

    def _configure_logging(self, config: Config) -> None:
        """Also makes the secrets known, which must come before anything is logged."""
        self._redactor.know(config.secrets)
        log = config.observability.log
        configure_logging(self._log_level or log.level, log.format, self._redactor)

    def _define(self, config: Config) -> list[Definition]:
        """Every upstream; what failures of theirs say is cleaned of secrets before anybody sees it."""
        return [
            replace(definition, rules=replace(definition.rules, redact=self._redactor.clean))
            for definition in definitions(config, self._environ, self.sandbox.verdict, self.logins.credential)
        ]

    def _login_changed(self, server: str) -> None:
        """Somebody logged in to a server, or out: it is called anew, and no kept answer is given on."""
        logger.info("app.login_changed name=%s", server)
        self._cache_rules.configure(caching(self.config, self.logins.login))
        with suppress(UnknownName):
            self.upstreams.reconnect(server)

    async def _watch_file(self) -> None:
        def files() -> list[Path]:
            return sources(self.config, self._environ)

        async for _ in changes(self._read_from, files, lambda: self.config.reload.debounce_ms / 1000):
            if self.config.reload.watch:
                self.reload()

    async def _watch_pins(self) -> None:
        """`pins approve` writes the file, and so do other gateways of the same configuration."""
        async for _ in changes(self._pins_read_from, lambda: [self._pin_file.path], lambda: 0.0):
            await self.pins.reload()

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def process(self) -> Process:
        """What REST shows and may change of this process besides the gateway."""
        return Process(self.status, self.cache, self._embedded, self._reload_asked_for, self.calls.latest, self.pins)

    async def _embedded(self, principal: Principal, texts: list[str]) -> Embedded:
        """Counts as a call. Raises RateLimited, ModelRefused, ModelUnavailable."""
        name = embedding_name(self.config)
        with self._limits.counted(principal):
            return Embedded(await self.models.current.get_embedding(texts), name)

    def status(self, client: Client) -> dict[str, Any]:
        """The gateway in a page, for REST and the command line; the file is the business of who may change it."""
        view = self.gateway.showcase.view(client)
        return {
            **views.status(self.gateway, view),
            "sessions": len(self.sessions),
            "in_flight": self.endpoint.in_flight.count,
            "alerts": self._alerts(view, "admin" in client.principal.scopes),
            "memory": self._memory_status() if "admin" in client.principal.scopes else None,
            "config": self._config_status() if "admin" in client.principal.scopes else None,
        }

    def _alerts(self, view: View, is_admin: bool) -> list[dict[str, Any]]:
        """The names of keys are the business of who may change them."""
        return [
            {"alert": held.name, "server": held.server, "text": text}
            for held, text in self.alerts.firing.items()
            if (held.server is None or view.admits_server(held.server)) and (held.key is None or is_admin)
        ]

    def _memory_status(self) -> dict[str, Any]:
        return {"shedding": self.memory.reason, "episodes": self.memory.episodes}

    def _config_status(self) -> dict[str, Any]:
        return {
            "file": str(self.config.path),
            "error": self.reload_error,
            "notes": list(self.config.notes),
            "restart_needed": self.restart_needed(),
        }

    def reading(self) -> Reading:
        """What metrics and alerts know of this moment."""
        in_flight = self.endpoint.in_flight.count
        now = views.reading(self.gateway, self.sessions.clients, in_flight, self.cache.stats(), self.calls)
        return replace(now, endings=(*self.logins.endings(), *self.access.endings()))

    def _health(self, call: Call) -> Mapping[str, Any]:
        summary = views.status(self.gateway, self.gateway.showcase.view(call.client))
        return {
            "version": summary["version"],
            "tools": summary["tools"],
            "sessions": len(self.sessions),
            "in_flight": self.endpoint.in_flight.count,
            "cache": views.cache(self.cache.stats()),
            "servers": [
                {key: server[key] for key in ("name", "state", "revision", "tools")} for server in summary["servers"]
            ],
        }

    def _states_ttl(self, server: str) -> bool:
        offer = self.upstreams.offers.get(server)
        return offer is not None and is_modern(offer.revision)

    def _owns(self, uri: str) -> bool:
        return self.gateway.catalog.owner(uri) is not None

    def _hear(self, event: object) -> None:
        if isinstance(event, OfferChanged):
            self._offers_changed.set()
        if isinstance(event, OfferChanged | ServerStateChanged):
            self._notice()

    def _notice(self) -> None:
        self._heard.set()
        self._heard = anyio.Event()

    async def _save_changes(self) -> None:
        while True:
            await self._offers_changed.wait()
            await anyio.sleep(SAVE_AFTER_S)
            await self._save()

    async def _save(self) -> None:
        """Keep the last good offers and the names given out on disk.

        A disk that refuses costs the next start its head start, nothing else.
        """
        self._offers_changed = anyio.Event()
        offers, fingerprints = self.upstreams.in_order(), _fingerprints(self._definitions)
        names = self.gateway.catalog.sticky
        try:
            await anyio.to_thread.run_sync(self._snapshot.save, offers, fingerprints)
            await anyio.to_thread.run_sync(self._names.save, names)
        except OSError as refused:
            logger.warning("app.offers_not_saved reason=%s", refused.strerror)


def _fingerprints(definitions: list[Definition]) -> dict[str, str]:
    return {definition.name: definition.fingerprint for definition in definitions}


def _async(function: Callable[[], None]) -> Callable[[], Any]:
    async def call() -> None:
        function()

    return call
