"""What an operator may do over REST, and nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.downstream.rest.errors import code, failure
from tests.downstream.rest.people import as_person, client_of
from tests.interaction.asking import until
from tests.interaction.house import House, house


async def test_a_restart_dials_the_server_anew(http: httpx2.AsyncClient, home: House) -> None:
    agent = home.app.upstreams.agent("up")
    await until(lambda: agent.link)
    before = agent.link
    response = await http.post("/api/v1/servers/up/restart")

    assert (response.status_code, response.json()["name"]) == (200, "up")
    await until(lambda: agent.link not in (None, before))


async def test_a_disabled_server_is_not_restarted(tmp_path: Path) -> None:
    async with house(tmp_path, entry={"enabled": False}) as home, client_of(home) as http:
        assert code(await http.post("/api/v1/servers/up/restart")) == (503, "upstream_unavailable")


@pytest.mark.parametrize(("name", "headers"), [("nobody", {}), ("up", as_person("strange-admin"))])
async def test_a_server_that_is_not_there_cannot_be_restarted(
    people: httpx2.AsyncClient, name: str, headers: dict[str, str]
) -> None:
    assert code(await people.post(f"/api/v1/servers/{name}/restart", headers=headers)) == (404, "unknown_name")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "servers/up/restart"), ("POST", "servers/nobody/restart"), ("POST", "reload"), ("DELETE", "cache")],
)
async def test_changing_the_gateway_needs_its_scope(people: httpx2.AsyncClient, method: str, path: str) -> None:
    response = await people.request(method, f"/api/v1/{path}", headers=as_person("asker"))

    assert code(response) == (403, "forbidden")


async def test_kept_answers_are_dropped(tmp_path: Path) -> None:
    async with house(tmp_path, entry={"cache": {"tools": ["echo"]}}) as home, client_of(home) as http:
        await http.post("/api/v1/tools/up__echo/call", json={"arguments": {"text": "x"}})
        before = (await http.get("/api/v1/cache")).json()
        removed = (await http.delete("/api/v1/cache", params={"server": "up", "older_than_s": 0})).json()

    assert (before["misses"], removed) == (1, {"removed": 1})


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("srever=up", (400, "invalid_params")),
        ("server=up&server=other", (400, "invalid_params")),
        ("older_than_s=-1", (400, "invalid_params")),
        ("older_than_s=nan", (400, "invalid_params")),
        ("older_than_s=soon", (400, "invalid_params")),
        ("server=nobody", (404, "unknown_name")),
    ],
)
async def test_a_query_of_another_shape_drops_nothing(
    people: httpx2.AsyncClient, query: str, refused: tuple[int, str]
) -> None:
    assert code(await people.delete(f"/api/v1/cache?{query}")) == refused


def rewrite(home: House, change: Any) -> None:
    """Change the file that is in force."""
    path = home.app.config.path
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


async def test_the_file_is_read_again(http: httpx2.AsyncClient, home: House) -> None:
    rewrite(home, {"mcpServers": {}, "limits": {"max_body": "1MiB"}})
    response = await http.post("/api/v1/reload")

    assert (response.status_code, response.json()) == (200, {"reloaded": True, "restart_needed": ["limits"]})
    assert (await http.get("/api/v1/servers")).json() == {"servers": []}


async def test_a_bad_file_changes_nothing_and_each_problem_is_told(http: httpx2.AsyncClient, home: House) -> None:
    rewrite(home, {"srever": {}, "mcpServers": {"up": {"comand": "x"}}})
    status, details = failure(await http.post("/api/v1/reload"))

    assert (status, details["code"], len(details["problems"])) == (400, "bad_config", 2)
    assert [server["name"] for server in (await http.get("/api/v1/servers")).json()["servers"]] == ["up"]
