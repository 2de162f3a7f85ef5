"""Logins at rest: bound to their place, renewed with the vault's key, and forgotten when asked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from mcp_gateway.errors import SecretDamaged, SecretKeyRefused
from mcp_gateway.security.vault import Vault
from mcp_gateway.upstream.oauth.account import Account, OAuthClient, Registration, Tokens
from mcp_gateway.upstream.oauth.store import TokenStore, forget_all, forget_of

URL = "https://up.example/mcp"
ISSUER = "https://issuer.example"
LOGIN = Account("login", URL, ISSUER, f"{ISSUER}/token", OAuthClient("me"), Tokens("acc3ss", "r3fresh", 60, "use"), 1.5)
CLIENT = Registration(OAuthClient("registered", "s3cret", "client_secret_post"), 8765)


def store(folder: Path, server: str = "up", url: str = URL, **more: str) -> TokenStore:
    return TokenStore(folder, {}, server, url, **more)


def test_a_login_and_a_client_come_back_as_they_were(tmp_path: Path) -> None:
    store(tmp_path).put(LOGIN)
    store(tmp_path).put_registration(ISSUER, CLIENT)
    assert (store(tmp_path).account(), store(tmp_path).registration(ISSUER)) == (LOGIN, CLIENT)


@pytest.mark.parametrize(("server", "url"), [("other", URL), ("up", "https://up.example/other"), ("u", "phttps://x")])
def test_nothing_is_found_from_another_place(tmp_path: Path, server: str, url: str) -> None:
    store(tmp_path).put(LOGIN)
    store(tmp_path).put_registration(ISSUER, CLIENT)
    assert store(tmp_path, server, url).account() is None
    assert store(tmp_path, server, url).registration(ISSUER) is None
    assert store(tmp_path).registration("https://other.example") is None


def test_a_login_at_another_issuer_takes_the_place_of_the_first(tmp_path: Path) -> None:
    store(tmp_path).put(LOGIN)
    store(tmp_path, "other").put(LOGIN)
    moved = replace(LOGIN, issuer="https://other.example")
    store(tmp_path).put(moved)
    assert (store(tmp_path).account(), store(tmp_path, "other").account()) == (moved, LOGIN)


def test_a_rotation_renews_logins_too(tmp_path: Path) -> None:
    store(tmp_path).put(LOGIN)
    before = (tmp_path / "tokens.json").read_text()
    assert Vault(tmp_path, {}).rotate().count == 1
    assert (tmp_path / "tokens.json").read_text() != before
    assert store(tmp_path).account() == LOGIN


def test_a_swapped_row_is_noticed(tmp_path: Path) -> None:
    """What was stored for one server cannot be passed off as another's."""
    store(tmp_path).put(LOGIN)
    store(tmp_path, "other").put(replace(LOGIN, login="another"))
    file = tmp_path / "tokens.json"
    body = json.loads(file.read_text())
    one, other = body["secrets"]
    body["secrets"][one], body["secrets"][other] = body["secrets"][other], body["secrets"][one]
    file.write_text(json.dumps(body))
    with pytest.raises(SecretDamaged, match="log in again: mcp-gateway logout up, then mcp-gateway login up"):
        store(tmp_path).account()


def test_without_the_key_nothing_is_read_or_added_until_all_is_forgotten(tmp_path: Path) -> None:
    store(tmp_path).put(LOGIN)
    (tmp_path / "secret.key").unlink()
    with pytest.raises(SecretKeyRefused, match="opens the stored login of upstream 'up'"):
        store(tmp_path).account()
    with pytest.raises(SecretKeyRefused, match="mcp-gateway logout --all"):
        store(tmp_path, "other").put(LOGIN)
    assert forget_all(tmp_path, {}) == 1
    store(tmp_path, "other").put(LOGIN)


def test_forgetting_takes_the_client_along_and_leaves_others(tmp_path: Path) -> None:
    store(tmp_path).put(LOGIN)
    store(tmp_path).put_registration(ISSUER, CLIENT)
    store(tmp_path, "other").put(LOGIN)
    assert store(tmp_path).forget()
    assert not store(tmp_path).forget()
    assert store(tmp_path).registration(ISSUER) is None
    assert store(tmp_path, "other").account() == LOGIN


def test_each_principal_has_a_login_of_its_own(tmp_path: Path) -> None:
    ann, bob = (store(tmp_path, principal=principal) for principal in ("key:ann", "key:bob"))
    ann.put(LOGIN)
    ann.put_registration(ISSUER, CLIENT)
    assert [other.account() for other in (bob, store(tmp_path))] == [None, None]
    assert bob.registration(ISSUER) is None
    bob.put(replace(LOGIN, login="another"))
    assert not store(tmp_path).forget()
    assert bob.forget()
    assert ann.account() == LOGIN
    assert len({ann.lock_file, bob.lock_file, store(tmp_path).lock_file}) == 3


def test_a_principals_logins_are_forgotten_at_every_server(tmp_path: Path) -> None:
    for server in ("up", "other"):
        store(tmp_path, server, principal="key:ann").put(LOGIN)
        store(tmp_path, server, principal="key:bob").put(LOGIN)
        store(tmp_path, server).put(LOGIN)
    assert forget_of(tmp_path, {}, "key:ann") == 2
    assert store(tmp_path, principal="key:ann").account() is None
    assert store(tmp_path, "other", principal="key:bob").account() == LOGIN
    assert store(tmp_path, "other").account() == LOGIN


def test_a_client_is_found_at_the_door_that_it_was_registered_for(tmp_path: Path) -> None:
    door = "https://gate.example/oauth/callback"
    store(tmp_path).put_registration(ISSUER, CLIENT, door)
    assert store(tmp_path).registration(ISSUER) is None
    assert store(tmp_path).registration(ISSUER, door) == CLIENT
    store(tmp_path).forget_registration(ISSUER, door)
    assert store(tmp_path).registration(ISSUER, door) is None
