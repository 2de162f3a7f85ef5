"""Calls as spans, over real HTTP."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.observe.spans import Spans, endpoint, name
from msgspec.structs import replace

from tests.builtin.providers.services import origin
from tests.fakes.collector import Collector
from tests.fakes.http_server import scripted
from tests.interaction.asking import until
from tests.observe.calls import ended

WITHIN_S = 20


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector/otlp/?key=1", "https://collector/otlp/v1/traces?key=1"),
        ("https://collector/v1/traces", "https://collector/v1/traces"),
    ],
)
def test_spans_go_to_the_place_that_the_protocol_names(written: str, called: str) -> None:
    assert endpoint(written) == called


def test_a_uri_is_no_name_of_a_span() -> None:
    assert name(ended(method="resources/read", tool="file:///a")) == "resources/read"
    assert name(ended(method="tools/call", tool=None)) == "tools/call"


async def test_a_collector_that_refuses_costs_one_line_and_its_return_another(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    collector = Collector(status=400)
    async with scripted(collector) as server:
        told = Spans(origin(server), "1.0")
        told.hear(ended())
        await until(lambda: collector.refused == 1, WITHIN_S)
        told.hear(ended())
        await until(lambda: collector.refused == 2, WITHIN_S)
        collector.status = 200
        told.hear(ended())
        await until(lambda: "spans.exported_again lost=2" in caplog.text, WITHIN_S)
        await told.close()

    assert caplog.text.count("spans.not_exported") == 1
    assert len(collector.spans) == 1
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


async def test_what_is_left_is_sent_at_the_end_with_the_headers_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=ours")
    collector = Collector()
    async with scripted(collector) as server:
        told = Spans(f"{origin(server)}/v1/traces", "1.0")
        told.hear(ended())
        with anyio.fail_after(WITHIN_S):
            await told.close()

    assert [(request.target, request.header("x-team")) for request in server.requests] == [("/v1/traces", "ours")]
    assert len(collector.spans) == 1


async def test_calls_that_are_refused_in_great_number_are_folded() -> None:
    collector = Collector()
    async with scripted(collector) as server:
        told = Spans(origin(server), "1.0")
        for _ in range(100):
            told.hear(ended(outcome="unknown_name", refused=True))
        told.hear(replace(ended(), sampled=False))
        await told.close()

    assert [span.attributes["mcp_gateway.count"] for span in collector.spans] == [1] * 8


async def test_a_loopback_collector_is_not_looked_for_behind_a_proxy() -> None:
    collector, other = Collector(), Collector()
    async with scripted(collector) as server, scripted(other) as proxy:
        told = Spans(origin(server), "1.0", {"http_proxy": origin(proxy)})
        told.hear(ended())
        await told.close()

    assert (len(collector.spans), proxy.requests) == (1, [])
