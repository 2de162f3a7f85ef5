"""Coming in over HTTP: who shows no key, or a wrong one, sees nothing, at any door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_gateway.downstream.auth import FAILURES
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key

from tests.interaction.house import House, house
from tests.interaction.posting import HEADERS, Session, opening

KEY, OTHER = new_key(), new_key()
KEYS = [{"name": "ci", "hash": hashed(KEY)}, {"name": "other", "hash": hashed(OTHER)}]
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening()}

DOORS = [
    ("POST", "/mcp"),
    ("GET", "/mcp"),
    ("DELETE", "/mcp"),
    ("POST", "/mcp/any"),
    ("GET", "/sse"),
    ("POST", "/messages/?session_id=0123456789abcdef0123456789abcdef"),
    ("GET", "/api/v1/tools"),
    ("GET", "/api/v1/status"),
    ("GET", "/api/v1/calls"),
    ("GET", "/metrics"),
    ("POST", "/api/v1/tools/up__echo/call"),
    ("GET", "/nowhere"),
]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path, auth={"keys": KEYS}) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), DOORS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic dXNlcjpwYXNz"},
        {"X-API-Key": ""},
        {"X-API-Key": hashed(KEY)},
        {"Authorization": f"Bearer {KEY}", "X-API-Key": OTHER},
    ],
    ids=["none", "wrong", "basic", "empty", "hash", "two"],
)
async def test_no_door_opens_without_a_key(
    http: httpx2.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = await http.request(method, path, headers=HEADERS | headers)

    assert answer.status_code == 401
    assert answer.json()["details"] == {"code": "unauthorized"}
    assert "send Authorization: Bearer KEY" in answer.json()["error"]
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}, {"Authorization": f"bearer {KEY}"}]
)
async def test_a_key_opens_them(http: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    tools = await http.get("/api/v1/tools", headers=headers)
    opened = await http.post("/mcp", headers=HEADERS | headers, json=INITIALIZE)

    assert (tools.status_code, opened.status_code) == (200, 200)


async def test_health_is_open(http: httpx2.AsyncClient) -> None:
    assert (await http.get("/healthz")).status_code == 200
    assert (await http.get("/readyz")).status_code == 200


async def test_a_foreign_host_is_refused_before_any_key_is_looked_at(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/api/v1/tools", headers={"Host": "evil.example", "X-API-Key": KEY})

    assert answer.status_code == 403


async def test_wrong_keys_are_slowed_down_and_the_right_one_still_passes(http: httpx2.AsyncClient) -> None:
    answers = [await http.get("/api/v1/tools", headers={"X-API-Key": f"guess{n}"}) for n in range(FAILURES + 2)]

    assert [answer.status_code for answer in answers] == [401] * FAILURES + [429] * 2
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert (await http.get("/api/v1/tools", headers={"X-API-Key": KEY})).status_code == 200


async def test_r_sess_1_another_key_cannot_use_a_session(home: House) -> None:
    session = Session(home.url)
    session.headers["X-API-Key"] = KEY
    async with session:
        mine = await session.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        session.headers["X-API-Key"] = OTHER
        theirs = await session.post({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})
        stolen = await session.http.delete(session.url, headers=session.headers)

    assert (mine.status_code, theirs.status_code, stolen.status_code) == (200, 404, 404)


async def test_a_revoked_key_ends_with_the_next_request(home: House, http: httpx2.AsyncClient, tmp_path: Path) -> None:
    store, key = KeyStore(tmp_path / "home" / KEYS_FILE), new_key()
    headers = {"X-API-Key": key}
    before = await http.get("/api/v1/tools", headers=headers)
    store.add(ApiKey("late", hashed(key)))
    during = await http.get("/api/v1/tools", headers=headers)
    store.revoke("late")
    after = await http.get("/api/v1/tools", headers=headers)

    assert (before.status_code, during.status_code, after.status_code) == (401, 200, 401)


async def test_keys_that_cannot_be_read_close_the_door_for_all(http: httpx2.AsyncClient, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / KEYS_FILE).write_text("not json")
    answer = await http.get("/api/v1/tools", headers={"X-API-Key": KEY})

    assert (answer.status_code, answer.json()["details"]["code"]) == (500, "bad_config")


@pytest.mark.parametrize("auth", [{"required": True}, {"required": True, "keys": []}])
async def test_a_door_may_be_locked_without_any_key(tmp_path: Path, auth: dict[str, Any]) -> None:
    async with house(tmp_path, auth=auth) as home, httpx2.AsyncClient(base_url=home.origin) as http:
        assert (await http.get("/api/v1/tools")).status_code == 401


async def test_a_door_may_be_left_open_on_loopback(tmp_path: Path) -> None:
    auth = {"required": False, "keys": KEYS}
    async with house(tmp_path, auth=auth) as home, httpx2.AsyncClient(base_url=home.origin) as http:
        assert (await http.get("/api/v1/tools")).status_code == 200
        assert (await http.get("/api/v1/tools", headers={"X-API-Key": "whatever"})).status_code == 200
