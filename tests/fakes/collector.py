"""An OTLP collector on loopback: it decodes what it is sent and keeps the spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fakes.http_server import Request, Wire


@dataclass(frozen=True, slots=True)
class Received:
    """One span as it came. `parent` is empty for one that begins a trace; `status` is 2 for an error."""

    name: str
    trace: str
    span: str
    parent: str
    kind: int
    status: int
    duration_ns: int
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


class Collector:
    """A script of `scripted`: answers `status` and keeps what it accepts."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.spans: list[Received] = []
        self.refused = 0

    async def __call__(self, request: Request, wire: Wire) -> None:
        if self.status == 200:
            self.spans += decoded(request.body)
        else:
            self.refused += 1
        await wire.whole(self.status, b"", content_type="application/x-protobuf")


def decoded(body: bytes) -> list[Received]:
    message = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            span.name,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.kind,
            span.status.code,
            span.end_time_unix_nano - span.start_time_unix_nano,
            _plain(span.attributes),
            _plain(resource.resource.attributes),
        )
        for resource in message.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _plain(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
