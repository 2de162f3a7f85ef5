"""The composition root: the only place where parts are put together.

A `Config` enters; all that serves it leaves, but for the doors, which `serving` opens. Which middleware a call passes,
and in which order, is the list in `App.__init__`; what a changed file changes, the one in `App._parts`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

import anyio
import anyio.abc

from mcp_gateway.access import Access
from mcp_gateway.builtin import Builtin, MCPFunctions, Services, enabled
from mcp_gateway.builtin.catalog_search import CatalogSearch
from mcp_gateway.builtin.finder import finders
from mcp_gateway.call import UNSELECTED, Call, Selection
from mcp_gateway.catalog import Catalog
from mcp_gateway.config import Config, ahead, file_key, folders
from mcp_gateway.config.watch import changes, signature
from mcp_gateway.directory import Surface
from mcp_gateway.downstream.command_line import CommandLine
from mcp_gateway.downstream.endpoint import Endpoint
from mcp_gateway.downstream.rest import Process
from mcp_gateway.downstream.runfile import RunFile
from mcp_gateway.downstream.sessions import Sessions
from mcp_gateway.downstream.status import Status
from mcp_gateway.errors import UnknownName
from mcp_gateway.events import Events
from mcp_gateway.gateway import Gateway
from mcp_gateway.llm.embeddings import Embeddings
from mcp_gateway.llm.models import Models
from mcp_gateway.middleware import chain
from mcp_gateway.middleware.audit import Audit
from mcp_gateway.middleware.cache import CacheMiddleware
from mcp_gateway.middleware.cache_rules import CacheRules, Caching
from mcp_gateway.middleware.heartbeat import Heartbeat
from mcp_gateway.middleware.limits import LimitsMiddleware
from mcp_gateway.middleware.login import LoginMiddleware
from mcp_gateway.middleware.shedding import Shedding
from mcp_gateway.middleware.tracing import tracing
from mcp_gateway.observe.alerts import Alerts
from mcp_gateway.observe.audit_file import AuditFile
from mcp_gateway.observe.calls import Calls
from mcp_gateway.observe.logging import configure_logging
from mcp_gateway.observe.memory import MemoryWatch
from mcp_gateway.observe.redaction import Redactor
from mcp_gateway.observe.webhook import Webhook
from mcp_gateway.reloading import Part, Reloading, part
from mcp_gateway.sandbox.choice import SandboxChoice
from mcp_gateway.security.pin_desk import PinDesk
from mcp_gateway.security.pin_file import PinFile
from mcp_gateway.upstream.definition import Definition
from mcp_gateway.upstream.eras import EraBook
from mcp_gateway.upstream.kept_names import KeptNames
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.upstream.oauth.desk import Desk
from mcp_gateway.upstream.oauth.logins import Logins
from mcp_gateway.upstream.saving import Saving
from mcp_gateway.upstream.snapshot import Snapshot
from mcp_gateway.wire import Raw, encode
from mcp_gateway.wiring import (
    alert_rules,
    audit_rules,
    caching,
    call_limits,
    call_time_s,
    caps,
    check_profile,
    container,
    definitions,
    embedding_name,
    keeping,
    kept_answers,
    memory_reading,
    model_settings,
    spans,
    surface,
    trust,
    way_to_log_in,
    webhook_url,
)

logger = logging.getLogger(__name__)

SAVE_WITHIN_S = 0.5
"""What saving may take once the gateway stops; stdio has to end within 1.5 s (design, decision 14)."""


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
        self.reloading = Reloading(config, environ, self._parts, selection.profile)
        self._environ = environ
        self._log_level = log_level
        self._redactor = Redactor()
        self._configure_logging(config)
        state, key = folders(environ).state, file_key(config.path)
        self.run_file = RunFile(state, config.path)
        snapshot = Snapshot(state / "catalog" / f"{key}.json", caps(config))
        names = KeptNames(state / "names" / f"{key}.json")
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
        self.desk = Desk(
            self.logins,
            lambda name: way_to_log_in(self.config, environ, name),
            state,
            environ,
            admitted=self.access.admits,
        )
        self._definitions = self._define(config)

        self.events = Events()
        saved = snapshot.load({definition.name: definition.fingerprint for definition in self._definitions})
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
        self.functions = MCPFunctions((), health=lambda call: self.status.health(call), settled=self.sandbox.settled)
        self._configure_functions(enabled(config.tools, self._services), config)
        self.webhook = Webhook(lambda: webhook_url(self.config), {"gateway": config.path.name}, environ)
        self.alerts = Alerts(alert_rules(config), lambda: self.status.reading(), self.webhook.send, state)
        self.heartbeat = Heartbeat()
        self.spans = spans(config, environ)
        self._audit = Audit(self.events, self._redactor.clean, audit_rules(config))
        self.calls = Calls(AuditFile(state / "audit", key), keeping(config))
        self.memory = MemoryWatch(memory_reading)
        shedding = Shedding(lambda: self.memory.reason)
        self._limits = LimitsMiddleware(call_limits(config))
        self._embedded = chain([self._audit, shedding, self._limits], self._vectors)
        self._cache_rules = CacheRules(self._caching(config), lambda: self.gateway.catalog, self.upstreams.is_modern)
        self._cached = CacheMiddleware(
            self.cache, self._cache_rules, lambda uri: self.gateway.catalog.owner(uri) is not None
        )
        self.gateway = Gateway(
            self.upstreams,
            self.functions,
            self.events,
            surface(config, names.load(config.servers)),
            MCPFunctions(finders(self._services)),
            middleware=[
                self.heartbeat,  # outermost: silence is broken whatever the layers below wait for
                *([tracing] if self.spans else []),  # before whoever tells of the call's span
                self._audit,  # sees all that follow, the cache included
                shedding,
                self._limits,
                LoginMiddleware(self.desk, lambda route: call_time_s(self.config, route), config.server.base_path),
                self._cached,  # innermost: whoever may not make a call may not have its kept answer either
            ],
            refused=self._audit.refused,
            judge=self.pins.judge,
        )
        self.gateway.parked.keep_s = self._services.parking.keep_s = config.limits.answer_within
        self.sessions = Sessions(self.gateway)
        self.endpoint = Endpoint(self.gateway, self.sessions, selection, max_sessions=config.limits.max_sessions)
        self.command_line = CommandLine(self.gateway)
        self.status = Status(
            self.gateway,
            self.sessions,
            self.endpoint,
            self.cache,
            self.calls,
            self.alerts,
            self.memory,
            self.reloading.status,
            lambda: (*self.logins.endings(), *self.access.endings()),
        )
        self._saving = Saving(self.upstreams, snapshot, names, lambda: self.gateway.catalog.sticky)
        for hears in (self.sessions, self._cached, self._services.index, self.calls, self.alerts, self._saving):
            self.events.subscribe(hears.hear)
        self.events.subscribe(self.command_line.hear)
        if self.spans is not None:
            self.events.subscribe(self.spans.hear)

    @property
    def config(self) -> Config:
        """What is in force."""
        return self.reloading.config

    # -- life ----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self) -> AsyncIterator[anyio.abc.TaskGroup]:
        """Everything that lives beside the doors; upstreams start at once and are waited for by nobody."""
        failure: Exception | None = None
        async with aclosing(self.models), anyio.create_task_group() as group, self._cached:
            await group.start(self.logins.run, self._login_changed)
            await group.start(self.upstreams.run, self._definitions)
            group.start_soon(self._services.index.run, lambda: self.gateway.catalog)
            for run in (
                self.gateway.run,
                self.sessions.run,
                self.heartbeat.run,
                self.memory.run,
                self.sandbox.run,
                self.calls.run,
                self.alerts.run,
                self.webhook.run,
                self._saving.run,
                self.reloading.watch,
                self.pins.run,
                self._watch_pins,
                self._watch_keys,
            ):
                group.start_soon(run)
            try:
                yield group
            except Exception as raised:  # boundary: the group would wrap it; it goes on unchanged below
                failure = raised
            finally:
                group.cancel_scope.cancel()
        saves = [self.calls.flush, self._saving.flush, self.pins.save]
        for save in (*saves, self.spans.close) if self.spans else saves:
            with anyio.move_on_after(SAVE_WITHIN_S, shield=True):
                await save()
        if failure is not None:
            raise failure

    # -- the configuration, again --------------------------------------------------------------------------------

    def _parts(self) -> tuple[Part, ...]:
        """What a changed file changes, in this order. What is not here waits for a restart."""
        return (
            part(lambda config: config, self._configure_logging),
            self.access.prepare,
            lambda config: self.models.prepare(config.llm.provider, model_settings(config)),
            part(audit_rules, self._audit.configure),
            part(keeping, self.calls.configure),
            lambda config: partial(self._configure_functions, enabled(config.tools, self._services), config),
            part(self._define, self.upstreams.apply),
            lambda config: partial(self.upstreams.dismiss, self.access.admits),
            part(alert_rules, self.alerts.configure),
            part(trust, self.pins.configure),
            part(self._surface, self.gateway.configure),
            lambda config: self._services.index.renew,
            part(self._caching, self._cache_rules.configure),
            part(call_limits, self._limits.configure),
        )

    def _configure_logging(self, config: Config) -> None:
        """Also makes the secrets known, which must come before anything is logged."""
        self._redactor.know(config.secrets)
        log = config.observability.log
        configure_logging(self._log_level or log.level, log.format, self._redactor)

    def _configure_functions(self, builtins: list[Builtin], config: Config) -> None:
        if config.tools.execute.enabled is not False:
            self.sandbox.want()
        self.functions.configure(builtins, dict(config.tools))

    def _offer_functions(self) -> None:
        """Whether there is a sandbox turned out otherwise: the built-in tools are offered anew."""
        self._configure_functions(enabled(self.config.tools, self._services), self.config)
        self.gateway.configure(self._surface(self.config))
        self.command_line.notice()

    def _define(self, config: Config) -> list[Definition]:
        """Every upstream; what failures of theirs say is cleaned of secrets before anybody sees it."""
        return [
            replace(definition, rules=replace(definition.rules, redact=self._redactor.clean))
            for definition in definitions(config, self._environ, self.sandbox.verdict, self.logins.credential)
        ]

    def _surface(self, config: Config) -> Surface:
        return surface(config, self.gateway.catalog.sticky)

    def _caching(self, config: Config) -> dict[str, Caching]:
        return caching(config, self.logins.login)

    def _login_changed(self, server: str, principal: str | None) -> None:
        """Somebody logged in to a server, or out: it is called anew, and no kept answer is given on."""
        logger.info("app.login_changed name=%s principal=%s", server, principal or "everybody")
        self._cache_rules.configure(self._caching(self.config))
        with suppress(UnknownName):
            self.upstreams.login_changed(server, principal)

    async def _watch_pins(self) -> None:
        """`pins approve` writes the file, and so do other gateways of the same configuration."""
        async for _ in changes(self._pins_read_from, lambda: [self._pin_file.path], lambda: 0.0):
            await self.pins.reload()

    async def _watch_keys(self) -> None:
        """A revoked key's connections to servers end."""
        async for _ in changes(self.access.keys_read_from, lambda: [self.access.keys_file], lambda: 0.0):
            self.upstreams.dismiss(self.access.admits)

    # -- state ---------------------------------------------------------------------------------------------------

    @property
    def process(self) -> Process:
        """What REST shows and may change of this process besides the gateway."""
        return Process(
            self.status.of, self.cache, self._embedded, self.reloading.asked_for, self.calls.latest, self.pins
        )

    async def _vectors(self, call: Call) -> Raw:
        """Raises ModelRefused, ModelUnavailable."""
        vectors = await self.models.current.get_embedding(call.params["arguments"]["input"])
        return Raw(encode({"embeddings": vectors, "model": embedding_name(self.config)}))

    async def _settled_catalog(self) -> Catalog:
        await self.gateway.settled()
        return self.gateway.catalog
