"""Invitations to log in: whose they are, how long they last, and how many there may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.errors import UnknownName
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.oauth.callback import Answer
from mcp_gateway.upstream.oauth.desk import KEEP_S, OF_PRINCIPAL, PLACES, Desk, Way
from mcp_gateway.upstream.oauth.logins import Logins

from tests.fakes.clock import Clock
from tests.fakes.login_server import guarded, login_server
from tests.upstream.oauth.house import origin

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

CALLBACK = "http://127.0.0.1:1/oauth/callback"


def desk(folder: Path, clock: Clock, url: str = "http://127.0.0.1:1/mcp", **more: Any) -> Desk:
    def way(server: str) -> Way | None:
        return Way(origin(url), url, LoginSettings()) if server == "up" else None

    return Desk(Logins(folder, {}), way, folder, {}, clock, **more)


def test_a_principal_is_invited_once_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    invitations = desk(tmp_path, clock)
    first = invitations.invite("up", "ann")
    assert invitations.invite("up", "ann") is first
    assert invitations.invite("up", "bob") is not first
    assert invitations.find(first.id, "ann") is first
    assert invitations.find(first.id, "bob") is None
    clock.now += KEEP_S * 0.6
    assert invitations.invite("up", "ann") is not first
    clock.now += KEEP_S * 0.6
    assert invitations.find(first.id) is None


def test_one_principal_does_not_push_out_another(tmp_path: Path) -> None:
    invitations = desk(tmp_path, Clock())
    ann = invitations.invite("up", "ann")
    of_bob = [invitations.invite(f"up{number}", "bob") for number in range(OF_PRINCIPAL + 3)]
    assert [invitations.find(one.id) is None for one in of_bob[:4]] == [True, True, True, False]
    assert invitations.find(ann.id) is ann


def test_the_oldest_goes_when_there_are_too_many(tmp_path: Path) -> None:
    invitations = desk(tmp_path, Clock())
    first, *others = [invitations.invite("up", f"user-{number}") for number in range(PLACES + 1)]
    assert invitations.find(first.id) is None
    assert all(invitations.find(other.id) is other for other in others)


async def test_a_login_that_took_too_long_is_not_under_way_any_more(tmp_path: Path) -> None:
    clock = Clock()
    async with login_server() as issuer, guarded(issuer) as server:
        invitations = desk(tmp_path, clock, server.url)
        opened = await invitations.open(invitations.invite("up", "ann").id, "ann", CALLBACK)
        clock.now += KEEP_S
        with pytest.raises(UnknownName):
            await invitations.close(opened.attempt.state, opened.browser, Answer("code", None, issuer.url))
    assert issuer.forms == []


async def test_a_login_of_whoever_may_not_come_in_any_more_is_not_made(tmp_path: Path) -> None:
    """Its key was revoked meanwhile, and another key of that name must not find the login."""
    keys = {"ann"}
    async with login_server() as issuer, guarded(issuer) as server:
        invitations = desk(tmp_path, Clock(), server.url, admitted=keys.__contains__)
        opened = await invitations.open(invitations.invite("up", "ann").id, "ann", CALLBACK)
        keys.clear()
        with pytest.raises(UnknownName):
            await invitations.close(opened.attempt.state, opened.browser, Answer("code", None, issuer.url))
    assert issuer.forms == []


async def test_a_page_that_is_opened_again_makes_the_one_before_useless(tmp_path: Path) -> None:
    async with login_server() as issuer, guarded(issuer) as server:
        invitations = desk(tmp_path, Clock(), server.url)
        id = invitations.invite("up", "ann").id
        before, after = [await invitations.open(id, "ann", CALLBACK) for _ in range(2)]
        assert before.attempt.state != after.attempt.state
        with pytest.raises(UnknownName):
            await invitations.close(before.attempt.state, before.browser, Answer("code", None, issuer.url))
        assert list(issuer.clients) == ["registered-0"]


async def test_nobody_opens_the_page_of_another(tmp_path: Path) -> None:
    invitations = desk(tmp_path, Clock())
    ann = invitations.invite("up", "ann")
    gone = invitations.invite("down", "ann")
    for id, principal in ((ann.id, "bob"), ("no such", "ann"), (gone.id, "ann")):
        with pytest.raises(UnknownName):
            await invitations.open(id, principal, CALLBACK)
