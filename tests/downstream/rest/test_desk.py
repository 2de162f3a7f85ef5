"""What REST shows under `serve --profile`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from mcp_gateway.call import Selection

from tests.downstream.rest.people import AUTH, as_person
from tests.interaction.house import House, house

PROFILES = {"few": {"servers": ["up"], "tools": {"allow": ["up__echo"]}}}
OWN = "the token of the run file"
BY_COMMAND = {"Authorization": f"Bearer {OWN}"}


@pytest.fixture(params=["open", "guarded"])
async def home(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """A gateway that serves one tool, with keys or without."""
    auth = AUTH if request.param == "guarded" else {}
    async with house(tmp_path, profiles=PROFILES, selection=Selection("few"), auth=auth) as running:
        running.app.access.authentication.local_token = OWN
        yield running


@pytest.fixture
async def http(home: House) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{home.origin}/api/v1", timeout=10) as client:
        yield client


async def names(http: httpx2.AsyncClient, headers: dict[str, str]) -> set[str]:
    return {tool["name"] for tool in (await http.get("/tools", headers=headers)).json()["tools"]}


async def test_the_profile_of_the_flag_narrows_listings_and_calls(http: httpx2.AsyncClient) -> None:
    owner = as_person("owner")
    echoed = await http.post("/tools/up__echo/call", headers=owner, json={"arguments": {"text": "x"}})
    hidden = await http.post("/tools/up__count/call", headers=owner, json={"arguments": {}})

    assert await names(http, owner) == {"up__echo"}
    assert (echoed.status_code, hidden.status_code) == (200, 404)


async def test_the_command_line_of_this_machine_sees_the_whole(http: httpx2.AsyncClient) -> None:
    called = await http.post("/tools/up__count/call", headers=BY_COMMAND, json={"arguments": {}})

    assert {"up__echo", "up__count"} <= await names(http, BY_COMMAND)
    assert called.status_code == 200
