"""REST: the same calls as plain JSON, and one error body."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx2
import pytest
from mcp_gateway.errors import ERROR_META_KEY

from tests.interaction.house import House

ECHO = "/api/v1/tools/up__echo/call"


def failure(response: httpx2.Response) -> tuple[int, Any]:
    """Status and details of an error body, which has its three members and no more."""
    body = response.json()
    assert body.keys() == {"error", "timestamp", "details"}
    assert datetime.fromisoformat(body["timestamp"]).tzinfo is not None
    return response.status_code, body["details"]


async def test_listings_name_the_server_and_its_own_name(http: httpx2.AsyncClient) -> None:
    tools = {tool["name"]: tool for tool in (await http.get("/api/v1/tools")).json()["tools"]}
    prompts = (await http.get("/api/v1/prompts")).json()["prompts"]
    resources = (await http.get("/api/v1/resources")).json()["resources"]

    assert (tools["up__echo"]["server"], tools["up__echo"]["tool"]) == ("up", "echo")
    assert tools["sysinfo"]["server"] is None
    assert [(prompt["name"], prompt["prompt"]) for prompt in prompts] == [("up__greet", "greet")]
    assert {item["server"] for item in resources} == {"up"}


async def test_servers_and_one_of_them(http: httpx2.AsyncClient) -> None:
    (server,) = (await http.get("/api/v1/servers")).json()["servers"]
    one = (await http.get("/api/v1/servers/up")).json()

    assert (server["name"], server["state"], server["transport"]) == ("up", "ready", "http")
    assert one["server_info"]["name"] == "everything"
    assert failure(await http.get("/api/v1/servers/nobody")) == (404, {"code": "unknown_name"})


async def test_the_status_counts(http: httpx2.AsyncClient) -> None:
    status = (await http.get("/api/v1/status")).json()

    assert (status["in_flight"], status["sessions"], len(status["servers"])) == (0, 0, 1)


async def test_a_call_is_answered_with_the_tools_result(http: httpx2.AsyncClient) -> None:
    response = await http.post(ECHO, json={"arguments": {"text": "x"}})

    assert response.status_code == 200
    assert response.json()["structuredContent"] == {"echoed": {"text": "x"}, "none": None, "one": 1.0}


async def test_a_call_without_a_body_has_no_arguments(http: httpx2.AsyncClient) -> None:
    assert (await http.post(ECHO)).json()["structuredContent"]["echoed"] == {}


async def test_a_call_that_fails_is_a_result_too(http: httpx2.AsyncClient, home: House) -> None:
    await home.upstream.stop()
    response = await http.post(ECHO, json={})

    assert response.status_code == 200
    assert response.json()["isError"] is True
    assert response.json()["_meta"][ERROR_META_KEY]["server"] == "up"


async def test_a_deadline_of_the_callers_own_holds(http: httpx2.AsyncClient) -> None:
    body = {"arguments": {"seconds": 60}, "timeout_s": 0.2}
    response = await http.post("/api/v1/tools/up__wait/call", json=body)

    assert response.json()["_meta"][ERROR_META_KEY]["code"] == "upstream_timeout"


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"[]",
        b'{"arguments":[]}',
        b'{"arguments":"x"}',
        b'{"arguments":{"n":NaN}}',
        b'{"arguments":{"n":1e999}}',
        b'{"args":{}}',
        b'{"timeout_s":0}',
        b'{"timeout_s":true}',
        b'{"timeout_s":"5"}',
        b'{"command":"sh","arguments":{}}',
        b"[" * 50_000,
    ],
)
async def test_a_body_of_another_shape_is_refused(http: httpx2.AsyncClient, body: bytes) -> None:
    assert failure(await http.post(ECHO, content=body)) == (400, {"code": "invalid_params"})


async def test_an_unknown_tool_is_404(http: httpx2.AsyncClient) -> None:
    assert failure(await http.post("/api/v1/tools/up__ehco/call", json={})) == (404, {"code": "unknown_name"})
