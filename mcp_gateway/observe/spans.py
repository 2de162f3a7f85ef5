"""Calls as spans for an OTLP collector: what `CallEnded` tells, with the ids that the upstream was sent.

Events enter; batches leave over HTTP from a thread of the library's own, so that no call waits for a collector. What it
does not take in time is dropped. Spans hold no argument and no result.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
from anyio import to_thread
from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from mcp_gateway.events import CANCELLED, OK, CallEnded, Event
from mcp_gateway.observe.fold import Fold
from mcp_gateway.security.addresses import proxy_for

logger = logging.getLogger(__name__)

PATH: Final = "/v1/traces"
"""What is appended to a collector's address (OTLP 1.x, "OTLP/HTTP Request")."""

TIMEOUT_S: Final = 5.0
"""For one batch, with its retries (our choice; the library's own default is 10 s)."""

EVERY_MS: Final = 1000
"""How long a span waits for others (our choice; the library's own default is 5 s)."""

QUEUE: Final = 2048
BATCH: Final = 512
"""Spans that may wait, and that go together: the library's defaults, whatever the environment says."""

_SERVER: Final = otel.SpanKind.SERVER


class Spans:
    """Hears of every call; `close` sends what is left."""

    def __init__(self, collector: str, version: str, environ: Mapping[str, str] = {}) -> None:
        """`collector` is an OTLP address, with or without `/v1/traces`; proxies come from `environ`."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # it would say the same for each batch
        self._ids = _GivenIds()
        self._fold = Fold()
        exporter = _Watched(
            OTLPSpanExporter(endpoint(collector), timeout=TIMEOUT_S, session=_session(environ, collector))
        )
        self._provider = TracerProvider(
            sampler=ALWAYS_ON,  # whoever began the trace has decided
            resource=Resource.create({SERVICE_NAME: "mcp-gateway", SERVICE_VERSION: version}),
            shutdown_on_exit=False,
            id_generator=self._ids,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter, QUEUE, EVERY_MS, BATCH))
        self._tracer = self._provider.get_tracer("mcp_gateway", version)

    def hear(self, event: Event) -> None:
        """An event listener. Calls that are turned away in great number are folded, as in the record."""
        if not isinstance(event, CallEnded) or not event.sampled:
            return
        if event.refused:
            folded = self._fold.add(event)
            if folded is None:
                return
            event = folded
        self._export(event)

    async def close(self) -> None:
        """Send what is left. May be cancelled; then it is lost."""
        await to_thread.run_sync(self._provider.shutdown, abandon_on_cancel=True)

    def _export(self, call: CallEnded) -> None:
        self._ids.trace, self._ids.span = int(call.trace, 16), int(call.span, 16)
        began_ns = int(call.at * 1e9)
        span = self._tracer.start_span(
            name(call), _parent(call), _SERVER, attributes(call), start_time=began_ns, set_status_on_exception=False
        )
        if call.outcome not in (OK, CANCELLED):
            span.set_status(otel.Status(otel.StatusCode.ERROR, call.outcome))
        span.end(began_ns + int(call.duration_s * 1e9))


def endpoint(collector: str) -> str:
    """Where spans go at a collector."""
    parts = urlsplit(collector)
    path = parts.path.rstrip("/")
    return urlunsplit(parts._replace(path=path if path.endswith(PATH) else path + PATH))


def name(call: CallEnded) -> str:
    """Method and tool or prompt; not a URI, of which there are too many (semantic conventions for MCP)."""
    is_named = call.tool is not None and call.method in ("tools/call", "prompts/get")
    return f"{call.method} {call.tool}" if is_named else call.method


def attributes(call: CallEnded) -> dict[str, Any]:
    """By the semantic conventions for MCP where they have a word for it."""
    subject = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}.get(
        call.method, "mcp.resource.uri"
    )
    told = {
        "mcp.method.name": call.method,
        subject: call.tool,
        "error.type": None if call.outcome in (OK, CANCELLED) else call.outcome,
        "mcp_gateway.server": call.server,
        "mcp_gateway.outcome": call.outcome,
        "mcp_gateway.cached": call.cached,
        "mcp_gateway.principal": call.principal,
        "mcp_gateway.client": call.client,
        "mcp_gateway.door": call.door,
        "mcp_gateway.count": call.count if call.refused else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def _parent(call: CallEnded) -> Context:
    """The caller's span; nothing around us counts, since the event may be heard in any task."""
    if call.parent is None:
        return Context()
    caller = otel.SpanContext(int(call.trace, 16), int(call.parent, 16), True, otel.TraceFlags(otel.TraceFlags.SAMPLED))
    return otel.set_span_in_context(otel.NonRecordingSpan(caller), Context())


def _session(environ: Mapping[str, str], collector: str) -> requests.Session:
    """Proxies as for everything else: a collector on this machine is not looked for behind one."""
    session = requests.Session()
    session.trust_env = False
    if (proxy := proxy_for(collector, environ)) is not None:
        session.proxies = {"http": proxy, "https": proxy}
    return session


class _GivenIds(IdGenerator):
    """The ids that the call had on its way, for the span that is being made."""

    def __init__(self) -> None:
        self.trace = self.span = 0

    def generate_trace_id(self) -> int:
        return self.trace

    def generate_span_id(self) -> int:
        return self.span


class _Watched(SpanExporter):
    """Tells once when a collector takes no spans, and once when it does again. Runs in the library's thread."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                logger.warning("spans.not_exported: the collector does not take them; calls go on untraced")
            self._lost += len(spans)
        elif self._lost:
            logger.info("spans.exported_again lost=%d", self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)
