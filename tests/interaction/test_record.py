"""Calls are recorded, whichever door they came through and however they ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway.security.keys import hashed, new_key
from mcp_types import Implementation

from tests.interaction.conftest import Connect
from tests.interaction.house import Door, House, house
from tests.interaction.posting import Session
from tests.interaction.requirements import shows

DOORS = {"stdio": "stdio", "sse": "sse", "http": "http"}


async def recorded(home: House, query: str = "") -> list[dict[str, Any]]:
    async with httpx2.AsyncClient() as http:
        answer = await http.get(f"{home.origin}/api/v1/calls{query}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["calls"])


@shows("record")
async def test_calls_of_every_door_are_recorded(connect: Connect, home: House, door: Door) -> None:
    async with connect() as client:
        await client.call_tool("up__echo", {"text": "private"})
        await client.call_tool("up__fail", {})
        await client.list_tools()
        with pytest.raises(MCPError):
            await client.call_tool("up__nothing", {})

    calls = await recorded(home)
    facts = [(call["door"], call["server"], call["tool"], call["outcome"]) for call in calls]
    assert facts == [
        (DOORS[door.transport], None, "up__nothing", "unknown_name"),
        (DOORS[door.transport], "up", "fail", "tool_error"),
        (DOORS[door.transport], "up", "echo", "ok"),
    ]
    assert "private" not in str(calls)
    assert calls[-1]["arguments"].startswith("sha256:")


@shows("record")
async def test_arguments_are_in_the_record_where_the_file_asks_for_them(tmp_path: Path) -> None:
    observability = {"calls": {"arguments": "full"}}
    entry = {"headers": {"X-Token": "a-secret-of-the-file"}}
    async with house(tmp_path, observability=observability, entry=entry) as home:
        async with home.client(Door.HTTP_MODERN) as client:
            await client.call_tool("up__echo", {"text": "shown", "also": "a-secret-of-the-file"})
        (call,) = await recorded(home)

    assert call["arguments"] == '{"also":"[redacted]","text":"shown"}'


@shows("record")
async def test_kept_answers_are_recorded_as_such(tmp_path: Path) -> None:
    async with house(tmp_path, entry={"cache": {"tools": ["count"]}}) as home, home.client(Door.HTTP_LEGACY) as client:
        for tool in ("up__count", "up__count", "up__echo"):
            await client.call_tool(tool, {})

        assert [call["cached"] for call in await recorded(home)] == [None, True, False]


@shows("record")
async def test_the_record_is_on_disk_once_the_gateway_has_stopped(tmp_path: Path) -> None:
    async with house(tmp_path) as home, home.client(Door.HTTP_LEGACY) as client:
        await client.call_tool("up__echo", {})
        (call,) = await recorded(home, "?limit=1")

    (file,) = (tmp_path / "home").glob("**/audit/*.jsonl")
    assert call["span"] in file.read_text()


@shows("record")
async def test_a_secret_is_in_no_part_of_the_record(tmp_path: Path) -> None:
    secret = "planted-in-the-configuration"
    headers = {"Authorization": f"Bearer {secret}"}
    async with house(tmp_path, entry={"headers": headers}) as home:
        client = home.client(Door.HTTP_LEGACY, client_info=Implementation(name=f"I-{secret}", version="0"))
        async with client:
            await client.call_tool("up__echo", {"text": secret})
            with pytest.raises(MCPError):
                await client.call_tool(f"up__{secret}", {"text": secret})
            with pytest.raises(MCPError):
                await client.read_resource(f"x://{secret}/")
        shown = await recorded(home)

    (file,) = (tmp_path / "home").glob("**/audit/*.jsonl")
    assert [call["tool"] for call in shown] == ["x://[redacted]/", "up__[redacted]", "echo"]
    assert secret not in f"{shown}{file.read_text()}"


@shows("record")
async def test_a_key_is_shown_its_own_calls_and_an_admins_those_of_all(tmp_path: Path) -> None:
    one, boss = new_key(), new_key()
    keys = [
        {"name": "one", "hash": hashed(one)},
        {"name": "boss", "hash": hashed(boss), "scopes": ["read", "call", "admin"]},
    ]
    async with house(tmp_path, auth={"keys": keys}) as home:
        for key in (one, boss):
            session = Session(home.url)
            session.headers["X-API-Key"] = key
            async with session:
                await session.ask(1, "tools/call", {"name": "up__echo"})
                answer = await session.http.get(f"{home.origin}/api/v1/calls", headers={"X-API-Key": key})
                seen = [call["principal"] for call in answer.json()["calls"]]
                assert seen == (["key:one"] if key == one else ["key:boss", "key:one"])


@shows("record")
async def test_a_limit_that_is_none_is_refused(home: House) -> None:
    async with httpx2.AsyncClient() as http:
        for limit in ("0", "-1", "1001", "x", ""):
            answer = await http.get(f"{home.origin}/api/v1/calls?limit={limit}")
            assert (answer.status_code, answer.json()["details"]["code"]) == (400, "invalid_params")
