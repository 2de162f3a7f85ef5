"""Calls as spans at an OTLP collector, with the ids that callers and upstreams know."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest

from tests.builtin.providers.services import origin
from tests.fakes.collector import Collector, Received
from tests.fakes.http_server import scripted
from tests.gateway import environment, write_config
from tests.interaction.asking import until
from tests.interaction.house import Door, House, house
from tests.interaction.requirements import shows

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{ID}-{PARENT}-01"
META: Any = {"traceparent": GIVEN}
WITHIN_S = 20


@asynccontextmanager
async def traced(folder: Path, collector: Collector, **options: Any) -> AsyncIterator[House]:
    async with scripted(collector) as receiver:
        options = {"entry": {"cache": {"tools": ["echo"]}}, **options}
        async with house(folder, observability={"otlp": origin(receiver)}, **options) as home:
            yield home


async def spans(collector: Collector, count: int) -> list[Received]:
    await until(lambda: len(collector.spans) >= count, WITHIN_S)
    return collector.spans


@shows("spans")
@pytest.mark.parametrize(
    ("door", "era"), [(Door.HTTP_LEGACY, "legacy"), (Door.HTTP_MODERN, "modern"), (Door.STDIO_MODERN, "legacy")]
)
async def test_a_call_is_a_span_between_the_callers_and_the_upstreams(tmp_path: Path, door: Door, era: str) -> None:
    collector = Collector()
    async with traced(tmp_path, collector, era=era) as home:
        async with home.client(door) as client:
            await client.call_tool("up__echo", {"text": "not-for-the-collector"}, meta=META)
        (span,) = await spans(collector, 1)

    onward = f"00-{ID}-{span.span}-01"
    assert (span.name, span.trace, span.parent, span.kind, span.status) == ("tools/call echo", ID, PARENT, 2, 0)
    assert home.everything.traces == [(onward, onward)]
    assert span.duration_ns > 0
    assert "not-for-the-collector" not in repr(span)
    assert span.resource["service.name"] == "mcp-gateway"
    assert dict(span.attributes) | {"mcp_gateway.client": "*"} == {
        "mcp.method.name": "tools/call",
        "gen_ai.tool.name": "echo",
        "mcp_gateway.server": "up",
        "mcp_gateway.outcome": "ok",
        "mcp_gateway.cached": False,
        "mcp_gateway.principal": "local",
        "mcp_gateway.client": "*",
        "mcp_gateway.door": door.transport,
    }


@shows("spans")
async def test_without_a_caller_the_span_begins_the_trace_and_an_upstream_hears_of_it(tmp_path: Path) -> None:
    collector = Collector()
    async with traced(tmp_path, collector) as home, home.client(Door.HTTP_MODERN) as client:
        await client.call_tool("up__echo", {"text": "a"})
        await client.call_tool("up__echo", {"text": "a"})
        await client.call_tool("up__fail", {})
        made, kept, failed = await spans(collector, 3)

    assert [span.parent for span in (made, kept, failed)] == ["", "", ""]
    assert [span.attributes["mcp_gateway.cached"] for span in (made, kept)] == [False, True]
    assert (failed.status, failed.attributes["error.type"]) == (2, "tool_error")
    onward = [f"00-{span.trace}-{span.span}-01" for span in (made, failed)]
    assert home.everything.traces == [(each, each) for each in onward]


@shows("spans")
async def test_what_leads_nowhere_is_a_failed_span_too(tmp_path: Path) -> None:
    collector = Collector()
    async with traced(tmp_path, collector) as home, httpx2.AsyncClient() as http:
        answer = await http.post(f"{home.origin}/api/v1/tools/no_such/call", json={}, headers={"traceparent": GIVEN})
        (span,) = await spans(collector, 1)

    assert answer.status_code == 404
    assert (span.trace, span.parent, span.status) == (ID, PARENT, 2)
    assert span.attributes["mcp_gateway.outcome"] == "unknown_name"


@shows("spans")
async def test_a_trace_that_nobody_records_goes_on_as_it_came(tmp_path: Path) -> None:
    unsampled: Any = {"traceparent": GIVEN[:-1] + "0"}
    collector = Collector()
    async with traced(tmp_path, collector) as home, home.client(Door.HTTP_MODERN) as client:
        await client.call_tool("up__echo", {"text": "a"}, meta=unsampled)
        await client.call_tool("up__echo", {"text": "b"}, meta=META)
        await spans(collector, 1)

    assert [span.trace for span in collector.spans] == [ID]
    assert home.everything.traces[0] == (unsampled["traceparent"],) * 2


@shows("spans")
async def test_a_collector_that_is_not_there_holds_up_neither_calls_nor_the_end(tmp_path: Path) -> None:
    async with house(tmp_path, observability={"otlp": "http://127.0.0.1:9"}) as home:
        with anyio.fail_after(10):
            async with home.client(Door.HTTP_MODERN) as client:
                await client.call_tool("up__echo", {"text": "a"})
        began_s = time.monotonic()

    assert home.everything.calls == 1
    assert time.monotonic() - began_s < 10  # what is left is given half a second; the rest is the house's


@shows("spans")
def test_without_the_extra_the_setting_is_refused_with_the_command_that_mends_it(tmp_path: Path) -> None:
    path = write_config(tmp_path, {"mcpServers": {}, "observability": {"otlp": "http://127.0.0.1:4318"}})
    script = "import sys; sys.modules['opentelemetry.sdk'] = None\nfrom mcp_gateway.cli import main; main()"
    command = [sys.executable, "-c", script, "serve", "-c", str(path), "--port", "0"]
    told = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, timeout=60)

    assert told.returncode == 78
    assert "gateway.yaml: observability.otlp: exporting traces needs an extra" in told.stderr
    assert "pip install 'mcp-gateway-server[otel]'" in told.stderr
    assert "Traceback" not in told.stderr
