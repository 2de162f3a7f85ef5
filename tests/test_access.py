"""Keys, signatures and tokens at the real doors of one gateway."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from mcp_gateway.security.principal import Grant
from mcp_gateway.security.signing import SigningKey, sign
from mcp_gateway.security.signing_secrets import new_signing_secret
from mcp_gateway.security.vault import Vault
from mcp_gateway.security.vault_file import SIGNING

from tests.fakes.authorization_server import AUDIENCE, ISSUER, authorization_server, token
from tests.gateway import write_config
from tests.interaction.house import House, house
from tests.interaction.posting import HEADERS, opening
from tests.interaction.sockets import socket, text_of

SECRET = new_signing_secret()
KEY = new_key()
CALL = "/api/v1/tools/up__echo/call"
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": opening()}


@asynccontextmanager
async def signing(folder: Path, **auth: Any) -> AsyncIterator[tuple[House, httpx2.AsyncClient]]:
    """A gateway with a key `ci` that signs."""
    state = folder / "home"
    KeyStore(state / KEYS_FILE).add(ApiKey("ci", hashed(KEY)))
    Vault(state, os.environ, SIGNING).set("ci", SECRET)
    async with house(folder, auth=auth) as home, httpx2.AsyncClient(base_url=home.origin, timeout=20) as http:
        yield home, http


def signed(home: House, method: str, path: str, body: bytes = b"", secret: str = SECRET) -> dict[str, str]:
    headers = sign(SigningKey("ci", secret.encode()), method, f"{home.origin}{path}", body)
    return {**HEADERS, **headers}


async def test_a_signed_request_comes_in_once(tmp_path: Path) -> None:
    async with signing(tmp_path) as (home, http):
        body = b'{"arguments":{"text":"x"}}'
        headers = signed(home, "POST", CALL, body)
        first = await http.post(CALL, content=body, headers=headers)
        again = await http.post(CALL, content=body, headers=headers)

    assert first.json()["structuredContent"]["echoed"] == {"text": "x"}
    assert again.status_code == 401


async def test_what_was_changed_on_the_way_is_refused(tmp_path: Path) -> None:
    async with signing(tmp_path) as (home, http):
        body = b'{"arguments":{}}'
        other_body = await http.post(CALL, content=b'{"arguments":{"a":1}}', headers=signed(home, "POST", CALL, body))
        other_path = await http.post(f"{CALL}?x=1", content=body, headers=signed(home, "POST", CALL, body))
        other_secret = await http.post(
            CALL, content=body, headers=signed(home, "POST", CALL, body, new_signing_secret())
        )
        as_the_key = {**signed(home, "POST", CALL, body, new_signing_secret()), "X-API-Key": KEY}
        with_a_key = await http.post(CALL, content=body, headers=as_the_key)

    assert {answer.status_code for answer in (other_body, other_path, other_secret, with_a_key)} == {401}


async def test_mcp_is_spoken_in_signed_requests_too(tmp_path: Path) -> None:
    async with signing(tmp_path) as (home, http):
        request = http.build_request("POST", "/mcp", json=INITIALIZE)
        body = await request.aread()
        opened = await http.post("/mcp", content=body, headers=signed(home, "POST", "/mcp", body))

    assert opened.status_code == 200


async def test_where_signatures_are_required_a_key_alone_is_none(tmp_path: Path) -> None:
    async with signing(tmp_path, signatures={"required": True}) as (home, http):
        alone = await http.get("/api/v1/tools", headers={"X-API-Key": KEY})
        with_signature = await http.get("/api/v1/tools", headers=signed(home, "GET", "/api/v1/tools"))

    assert (alone.status_code, with_signature.status_code) == (401, 200)


async def test_a_revoked_key_does_not_sign_any_more(tmp_path: Path) -> None:
    async with signing(tmp_path) as (home, http):
        KeyStore(tmp_path / "home" / KEYS_FILE).add(ApiKey("other", hashed(new_key())))
        before = await http.get("/api/v1/tools", headers=signed(home, "GET", "/api/v1/tools"))
        KeyStore(tmp_path / "home" / KEYS_FILE).revoke("ci")
        after = await http.get("/api/v1/tools", headers=signed(home, "GET", "/api/v1/tools"))

    assert (before.status_code, after.status_code) == (200, 401)


async def test_a_socket_opened_with_a_signature_stays_until_its_key_is_revoked(tmp_path: Path) -> None:
    async with signing(tmp_path, required=True) as (home, _):
        shown = {name: value for name, value in signed(home, "GET", "/ws").items() if name not in HEADERS}
        async with socket(home.origin, additional_headers=shown) as line:
            served = [text_of(await line.call(id, "up__echo", text="in")) for id in (1, 2)]
            KeyStore(tmp_path / "home" / KEYS_FILE).revoke("ci")
            await line.say(3, "call", tool="up__echo")
            code, _ = await line.closed()

    assert (served, code, home.everything.calls) == (["in", "in"], 1008, 2)


async def test_a_signed_body_above_the_limit_is_not_read(tmp_path: Path) -> None:
    KeyStore(tmp_path / "home" / KEYS_FILE).add(ApiKey("ci", hashed(KEY)))
    Vault(tmp_path / "home", os.environ, SIGNING).set("ci", SECRET)
    body = b"x" * 5000
    async with house(tmp_path, limits={"max_body": 2048}) as home, httpx2.AsyncClient(base_url=home.origin) as http:
        answer = await http.post(CALL, content=body, headers=signed(home, "POST", CALL, body))

    assert (answer.status_code, answer.json()["details"]["code"]) == (413, "message_too_large")


@pytest.fixture
async def issued(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A gateway that takes an authorization server's tokens."""
    async with authorization_server("ec") as server:
        oauth = {"issuer": ISSUER, "audience": AUDIENCE, "jwks_url": server.jwks_url, "scopes": {"see": "read"}}
        async with (
            house(tmp_path, auth={"oauth": oauth}) as home,
            httpx2.AsyncClient(base_url=home.origin, timeout=20) as http,
        ):
            yield http


async def test_a_token_lets_its_owner_do_what_its_scopes_say(issued: httpx2.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {token('ec', 'ES256', scope='see')}"}
    listed = await issued.get("/api/v1/tools", headers=headers)
    called = await issued.post(CALL, headers=headers)

    assert (listed.status_code, called.status_code) == (200, 403)


async def test_whoever_has_none_is_told_where_to_get_one(issued: httpx2.AsyncClient) -> None:
    refused = await issued.post("/mcp", json=INITIALIZE, headers=HEADERS)
    bad = await issued.post("/mcp", json=INITIALIZE, headers={**HEADERS, "Authorization": "Bearer a.b.c"})
    place = refused.headers["www-authenticate"].partition('resource_metadata="')[2].rstrip('"')
    metadata = await issued.get(place)

    assert (refused.status_code, bad.status_code) == (401, 401)
    assert 'error="invalid_token"' in bad.headers["www-authenticate"]
    assert metadata.json()["authorization_servers"] == [ISSUER]


async def test_a_door_that_asked_for_keys_does_so_until_the_gateway_ends(tmp_path: Path) -> None:
    async with signing(tmp_path) as (_, http):
        assert (await http.get("/api/v1/tools")).status_code == 401
        KeyStore(tmp_path / "home" / KEYS_FILE).revoke("ci")
        after = [await http.get("/api/v1/tools", headers=headers) for headers in ({}, {"X-API-Key": KEY})]

    assert [answer.status_code for answer in after] == [401, 401]


async def test_a_reload_does_not_take_the_lock_from_a_door_that_others_reach(tmp_path: Path) -> None:
    async with signing(tmp_path) as (home, http):
        home.app.access.host = "0.0.0.0"
        write_config(tmp_path, {"mcpServers": {}, "auth": {"required": False}})
        assert not home.app.reloading.reload()
        assert "auth.required" in (home.app.reloading.error or "")
        assert (await http.get("/api/v1/tools")).status_code == 401


@pytest.mark.parametrize("kind", [[], {}, 7, True])
async def test_a_token_of_odd_shape_is_refused_like_any_other(issued: httpx2.AsyncClient, kind: Any) -> None:
    head = base64.urlsafe_b64encode(json.dumps({"typ": kind, "alg": "ES256"}).encode()).decode().rstrip("=")
    answer = await issued.get("/api/v1/tools", headers={"Authorization": f"Bearer {head}.e30.AA"})

    assert answer.status_code == 401


async def test_an_admin_of_a_part_is_none_of_the_whole(tmp_path: Path) -> None:
    key = ApiKey("part", hashed(KEY), frozenset({"read", "call", "admin"}), Grant(servers=("elsewhere",)))
    KeyStore(tmp_path / "home" / KEYS_FILE).add(key)
    async with house(tmp_path) as home, httpx2.AsyncClient(base_url=home.origin, headers={"X-API-Key": KEY}) as http:
        answers = [
            await http.get("/api/v1/pins"),
            await http.post("/api/v1/pins/approve", json={"server": "up"}),
            await http.delete("/api/v1/cache"),
            await http.post("/api/v1/reload"),
        ]

    assert [answer.status_code for answer in answers] == [403] * 4
