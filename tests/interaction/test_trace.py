"""The trace of a call, from the door to the upstream and into the log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.gateway import Gateway
from tests.interaction.conftest import Connect
from tests.interaction.house import House, house
from tests.interaction.requirements import shows

ID, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{ID}-{PARENT}-01"
META: Any = {"traceparent": GIVEN}


@shows("trace")
async def test_a_trace_in_meta_reaches_the_upstream_as_it_is(connect: Connect, home: House) -> None:
    async with connect() as client:
        await client.call_tool("up__echo", {}, meta=META)

    assert home.everything.traces == [(GIVEN, GIVEN)]


@shows("trace")
async def test_params_without_a_trace_get_none_added(connect: Connect, home: House) -> None:
    async with connect() as client:
        await client.call_tool("up__echo", {})
        await client.call_tool("up__echo", {})

    (first, first_meta), (second, second_meta) = home.everything.traces
    assert first_meta is second_meta is None
    assert first is not None
    assert second is not None
    assert first[3:35] != second[3:35]


@shows("trace")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_trace_in_the_header_of_a_request_reaches_the_upstreams_header(tmp_path: Path, era: str) -> None:
    async with house(tmp_path, era=era) as home, httpx2.AsyncClient() as http:
        url = f"{home.origin}/api/v1/tools/up__echo/call"
        answer = await http.post(url, json={"arguments": {}}, headers={"traceparent": GIVEN, "tracestate": "a=b"})

    assert answer.status_code == 200
    assert home.everything.traces == [(GIVEN, None)]


@shows("trace")
async def test_the_log_names_the_trace_of_a_call_that_fails(tmp_path: Path) -> None:
    gone = {"url": "http://127.0.0.1:9/mcp", "type": "http", "restart": {"max": 1, "backoff": "0.1..0.1"}}
    config = {"mcpServers": {"gone": gone}, "observability": {"log": {"format": "json"}}}
    with Gateway(tmp_path, config) as gateway:
        async with httpx2.AsyncClient(timeout=20) as http:
            url = f"{gateway.origin}/api/v1/tools/gone__any/call"
            await http.post(url, json={"arguments": {}, "timeout_s": 1}, headers={"traceparent": GIVEN})
    lines = [json.loads(line) for line in gateway.log.splitlines() if line.startswith("{")]
    failed = [line for line in lines if line["message"].startswith("call.failed")]

    assert [line.get("trace") for line in failed] == [ID]
    assert not any("trace" in line for line in lines if line["message"].startswith("upstream."))
