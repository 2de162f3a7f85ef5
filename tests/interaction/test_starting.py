"""The first moments: handshakes out of order, listings before every server is there."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.interaction.asking import until
from tests.interaction.house import Door, House, gateway, house
from tests.interaction.posting import HEADERS, Session, messages, opening
from tests.interaction.requirements import shows


@shows("handshake-unknown-version")
@pytest.mark.parametrize("version", ["2019-01-01", "2027-01-01", "x", "2026-07-28"])
async def test_an_unknown_version_is_answered_with_our_newest_legacy_one(home: House, version: str) -> None:
    async with Session(home.url) as session:
        answer = await session.ask(9, "initialize", opening(version))

    assert answer["result"]["protocolVersion"] == "2025-11-25"


@shows("handshake-unknown-version")
@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_a_known_version_is_agreed_to(home: House, version: str) -> None:
    async with httpx2.AsyncClient() as http:
        request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening(version)}
        answer = await http.post(home.url, headers=HEADERS, json=request)

    assert messages(answer)[0]["result"]["protocolVersion"] == version


@shows("handshake-first")
async def test_nothing_is_served_over_http_before_initialize(home: House) -> None:
    async with httpx2.AsyncClient() as http:
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        answer = await http.post(home.url, headers=HEADERS, json=request)

    assert 400 <= answer.status_code < 500


@shows("handshake-first")
async def test_nothing_is_served_on_a_pipe_before_initialize(home: House) -> None:
    async with home.lines() as (lines, write):
        await write(b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}')
        early = json.loads(await anext(lines))
        await write(json.dumps({"jsonrpc": "2.0", "id": 2, "method": "initialize", "params": opening()}).encode())
        opened = json.loads(await anext(lines))

    assert early["id"] == 1
    assert early["error"]["code"] == -32600
    assert opened["result"]["protocolVersion"] == "2025-11-25"


@shows("listing-first-wait")
async def test_only_the_first_listing_waits_for_a_server_that_stays_silent(tmp_path: Path) -> None:
    silent = {"command": sys.executable, "args": ["-c", "import time; time.sleep(60)"]}
    async with gateway(tmp_path, {"mcpServers": {"silent": silent}}, settle=False) as (app, doors):
        home = House.of(app, doors)
        async with home.client(Door.HTTP_LEGACY) as client:
            first_s, names = await _timed(client)
            second_s, _ = await _timed(client)

    assert "sysinfo" in names
    assert 2.5 < first_s < 3.5
    assert second_s < 0.2


@shows("listing-saved")
async def test_a_complete_listing_comes_at_once_from_the_saved_catalog(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await until(lambda: list((tmp_path / "home").glob("catalog/*.json")))
        upstream = home.upstream.origin
    config = {"mcpServers": {"up": {"url": f"{upstream}/mcp", "type": "http", "era": "legacy", "timeout": 20}}}
    async with (
        gateway(tmp_path, config, settle=False) as (app, doors),
        House.of(app, doors).client(Door.HTTP_LEGACY) as client,
    ):
        took_s, names = await _timed(client)

    assert took_s < 0.2
    assert "up__echo" in names


async def _timed(client: Any) -> tuple[float, list[str]]:
    began_s = time.monotonic()
    tools = (await client.list_tools()).tools
    return time.monotonic() - began_s, [tool.name for tool in tools]
