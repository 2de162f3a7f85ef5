"""What REST shows: listings, servers and the status, each to those who may see it."""

from __future__ import annotations

import httpx2
import pytest

from tests.downstream.rest.errors import code, failure
from tests.downstream.rest.people import as_person

LISTINGS = ["tools", "prompts", "resources", "servers"]


async def test_listings_name_the_server_and_its_own_name(people: httpx2.AsyncClient) -> None:
    tools = {tool["name"]: tool for tool in (await people.get("/api/v1/tools")).json()["tools"]}
    prompts = (await people.get("/api/v1/prompts")).json()["prompts"]
    resources = (await people.get("/api/v1/resources")).json()["resources"]

    assert (tools["up__echo"]["server"], tools["up__echo"]["tool"]) == ("up", "echo")
    assert tools["sysinfo"]["server"] is None
    assert [(prompt["name"], prompt["prompt"]) for prompt in prompts] == [("up__greet", "greet")]
    assert {item["server"] for item in resources} == {"up"}


async def test_servers_and_one_of_them(people: httpx2.AsyncClient) -> None:
    (server,) = (await people.get("/api/v1/servers")).json()["servers"]
    one = (await people.get("/api/v1/servers/up")).json()

    assert (server["name"], server["state"], server["transport"]) == ("up", "ready", "http")
    assert one["server_info"]["name"] == "everything"
    assert failure(await people.get("/api/v1/servers/nobody")) == (404, {"code": "unknown_name"})


async def test_the_status_counts(people: httpx2.AsyncClient) -> None:
    status = (await people.get("/api/v1/status")).json()

    assert (status["in_flight"], status["sessions"], len(status["servers"])) == (0, 0, 1)


@pytest.mark.parametrize("kind", LISTINGS)
async def test_what_a_caller_may_not_use_is_not_listed(people: httpx2.AsyncClient, kind: str) -> None:
    listed = (await people.get(f"/api/v1/{kind}", headers=as_person("stranger"))).json()[kind]

    assert [item for item in listed if item.get("server") == "up" or item["name"] == "up"] == []


async def test_a_mistyped_server_is_told_the_nearest_that_the_caller_may_see(people: httpx2.AsyncClient) -> None:
    mistyped, stranger = [
        (await people.get("/api/v1/servers/upp", headers=as_person(who))).json()["error"]
        for who in ("reader", "stranger")
    ]

    assert (mistyped, stranger) == ("Unknown server: upp; did you mean 'up'?", "Unknown server: upp")


async def test_a_caller_sees_the_tools_it_may_call(people: httpx2.AsyncClient) -> None:
    listed = (await people.get("/api/v1/tools", headers=as_person("echoer"))).json()["tools"]
    one = (await people.get("/api/v1/servers/up", headers=as_person("echoer"))).json()

    assert [tool["name"] for tool in listed] == ["up__echo"]
    assert ([tool["name"] for tool in one["exposed_tools"]], one["tools"]) == (["up__echo"], 1)


async def test_a_hidden_server_is_not_there(people: httpx2.AsyncClient) -> None:
    assert code(await people.get("/api/v1/servers/up", headers=as_person("stranger"))) == (404, "unknown_name")


async def test_the_status_tells_of_what_the_caller_sees(people: httpx2.AsyncClient) -> None:
    status = (await people.get("/api/v1/status", headers=as_person("stranger"))).json()

    assert (status["servers"], status["prompts"], status["resources"], status["problems"]) == ([], 0, 0, [])


async def test_the_file_is_shown_to_who_may_change_it(people: httpx2.AsyncClient) -> None:
    read = (await people.get("/api/v1/status", headers=as_person("reader"))).json()
    whole = (await people.get("/api/v1/status")).json()

    assert read["config"] is None
    assert whole["config"]["file"].endswith("gateway.yaml")


@pytest.mark.parametrize("path", [*LISTINGS, "servers/up", "servers/nobody", "status", "cache"])
async def test_looking_needs_its_scope(people: httpx2.AsyncClient, path: str) -> None:
    assert code(await people.get(f"/api/v1/{path}", headers=as_person("caller"))) == (403, "forbidden")
