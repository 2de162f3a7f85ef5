"""While memory is short, calls are refused with a time to come back, at every door; then they are served again."""

from __future__ import annotations

from pathlib import Path

import httpx2
from mcp import Client as McpClient
from mcp_gateway.call import Client
from mcp_gateway.errors import ERROR_META_KEY
from mcp_gateway.observe.memory import Reading

from tests.interaction.house import Door, House, house

FULL = Reading(total=1000, available=10, limit=1000, used=990)
PERSON = Client("a person")
ROOM = Reading(total=2**40, available=2**39)


async def code(client: McpClient) -> str | None:
    result = await client.call_tool("up__echo", {"text": "x"})
    return (result.meta or {})[ERROR_META_KEY]["code"] if result.is_error else None


async def posted(home: House) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=10) as http:
        return await http.post(f"{home.origin}/api/v1/tools/up__echo/call", json={"arguments": {"text": "x"}})


async def test_calls_are_shed_while_memory_is_short(tmp_path: Path) -> None:
    async with house(tmp_path) as home, home.client(Door.HTTP_MODERN) as modern, home.client(Door.SSE) as legacy:
        assert [await code(modern), await code(legacy)] == [None, None]

        home.app.memory.note(FULL)
        assert [await code(modern), await code(legacy)] == ["overloaded", "overloaded"]
        refused = await posted(home)
        assert refused.status_code == 503
        assert refused.json()["details"]["code"] == "overloaded"
        assert (await modern.list_tools()).tools  # looking costs next to nothing

        home.app.memory.note(ROOM)
        assert await code(modern) is None
        assert (await posted(home)).status_code == 200


async def test_a_call_above_the_rate_is_a_result_in_every_revision(tmp_path: Path) -> None:
    async with house(tmp_path, limits={"rate": "1/h", "burst": 1}) as home, home.client(Door.HTTP_MODERN) as client:
        assert [await code(client), await code(client)] == [None, "rate_limited"]


async def test_the_status_tells(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        assert home.app.status.of(PERSON)["memory"] == {"shedding": None, "episodes": 0}
        home.app.memory.note(FULL)
        assert home.app.status.of(PERSON)["memory"] == {
            "shedding": "0 of the 0 MiB of this container are in use",
            "episodes": 1,
        }
