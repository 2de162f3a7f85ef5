"""A credential in use: renewed in time, by one for all, without a request waiting that need not."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.abc
import pytest
from mcp_gateway.errors import UpstreamAuth, UpstreamUnavailable
from mcp_gateway.upstream.oauth.account import LoginSettings

from tests.fakes.login_server import Guarded, LoginServer, guarded, guarded_sse, login_server
from tests.upstream.dispatch.https import LEGACY, handshake
from tests.upstream.dispatch.pipes import ask
from tests.upstream.oauth.house import WAIT_S, House, age, dispatcher, house, logged_in, sse_dispatcher

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

HOUR_S = 3600
DUE_S = HOUR_S - 30
ENDED_S = HOUR_S + 30

MACHINE = LoginSettings("robot", "s3cret", client_credentials=True)


FarEnd = tuple[LoginServer, Guarded, House]


@asynccontextmanager
async def home_of(folder: Path, settings: LoginSettings | None = None, *, age_s: float = 0) -> AsyncIterator[FarEnd]:
    """An issuer, a server, and the credential of a person who logged in so long ago; with `settings`, of nobody."""
    async with login_server() as issuer, guarded(issuer) as server:
        if settings is None:
            await logged_in(folder, server.url)
            age(folder, server.url, age_s)
        async with house(folder, server.url, settings) as home:
            yield issuer, server, home


# -- renewing ----------------------------------------------------------------------------------------------------------


async def test_a_token_near_its_end_is_renewed_while_requests_go_on_with_it(tmp_path: Path) -> None:
    async with home_of(tmp_path, age_s=DUE_S) as (issuer, _, home):
        issuer.gate = anyio.Event()
        with anyio.fail_after(WAIT_S):
            old = await home.credential.header()
            await issuer.until_asked(2)
            assert [await home.credential.header() for _ in range(3)] == [old] * 3
            issuer.gate.set()
            new = await home.credential.renewed(old, None)
        assert await home.credential.header() == new != old
    assert issuer.grants == ["authorization_code", "refresh_token"]


async def test_requests_that_have_no_working_token_wait_for_one_renewal(tmp_path: Path) -> None:
    headers: list[str | None] = []

    async def request(home: House) -> None:
        headers.append(await home.credential.header())

    async with home_of(tmp_path, age_s=ENDED_S) as (issuer, server, home):
        old = age(tmp_path, server.url, 0)
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(request, home)
    assert issuer.grants == ["authorization_code", "refresh_token"]
    assert len(headers) == 10
    assert len(set(headers)) == 1
    assert old not in headers


async def test_a_refresh_token_is_used_once_and_its_successor_after_it(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (issuer, server, _):
        for _ in range(3):
            age(tmp_path, server.url, ENDED_S)
            async with house(tmp_path, server.url) as home:
                await home.credential.header()
    used = [form["refresh_token"] for form in issuer.forms[1:]]
    assert len(set(used)) == 3
    assert {form["resource"] for form in issuer.forms} == {server.url}


async def test_a_request_that_ends_does_not_lose_the_token_it_waits_for(tmp_path: Path) -> None:
    async def request(home: House) -> None:
        await home.credential.header()

    async with home_of(tmp_path, age_s=ENDED_S) as (issuer, server, home):
        old = age(tmp_path, server.url, 0)
        issuer.gate = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(request, home)
            await issuer.until_asked(2)
            group.cancel_scope.cancel()
        issuer.gate.set()
        with anyio.fail_after(WAIT_S):
            assert await home.credential.header() != old
    assert issuer.grants == ["authorization_code", "refresh_token"]


async def test_a_gateway_that_stops_keeps_the_token_it_is_being_given(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (issuer, server, home):
        old = age(tmp_path, server.url, DUE_S)
        async with house(tmp_path, server.url) as leaving:
            await leaving.credential.header()
            await issuer.until_asked(2)
        account = home.store.account()
        assert account is not None
        assert account.header != old


async def test_while_the_issuer_is_down_a_token_is_used_to_its_end(tmp_path: Path) -> None:
    async with home_of(tmp_path, age_s=DUE_S) as (issuer, server, home):
        issuer.status = 503
        old = await home.credential.header()
        await issuer.until_asked(2)
        assert await home.credential.header() == old
        age(tmp_path, server.url, 60)
        async with house(tmp_path, server.url) as later:
            with pytest.raises(UpstreamUnavailable, match="answered with HTTP 503"):
                await later.credential.header()
            issuer.status = 200
            assert await later.credential.header() != old


async def test_while_nothing_can_be_stored_tokens_are_renewed_all_the_same(tmp_path: Path) -> None:
    async with home_of(tmp_path, age_s=ENDED_S) as (issuer, _, home):
        issuer.lasts_s = 1  # so short a life has ended at once
        headers = [await home.credential.header()]
        (tmp_path / "tokens.json").rename(tmp_path / "moved.json")
        (tmp_path / "tokens.json").mkdir()
        headers += [await home.credential.header() for _ in range(2)]
        assert await home.credential.look() is False
    assert len(set(headers)) == 3
    assert issuer.grants == ["authorization_code"] + ["refresh_token"] * 3


async def test_a_lock_that_cannot_be_made_is_told_and_nothing_is_renewed(tmp_path: Path) -> None:
    async with home_of(tmp_path, age_s=ENDED_S) as (issuer, _, home):
        lock = tmp_path / home.store.lock_file.name
        lock.unlink()
        lock.mkdir()
        with pytest.raises(UpstreamUnavailable, match=r"renewing the token of upstream 'up' is not possible"):
            await home.credential.header()
    assert issuer.grants == ["authorization_code"]


RENEWER = """
import sys, anyio
from pathlib import Path
from tests.upstream.oauth.house import house

async def main():
    async with house(Path(sys.argv[1]), sys.argv[2]) as home:
        print("asking", flush=True)
        print(hash_of(await home.credential.header()), flush=True)

def hash_of(header):
    import hashlib
    return hashlib.sha256(header.encode()).hexdigest()

anyio.run(main)
"""


async def test_of_two_processes_one_renews_and_the_other_finds_what_it_got(tmp_path: Path) -> None:
    said: list[str] = []

    async def process(server: Guarded, asking: anyio.abc.ObjectSendStream[None]) -> None:
        argv = [sys.executable, "-c", RENEWER, str(tmp_path), server.url]
        async with await anyio.open_process(argv, stderr=None) as child:
            assert child.stdout is not None
            first = await child.stdout.receive()
            await asking.send(None)
            said.append((first + b"".join([part async for part in child.stdout])).decode().split()[1])

    async with home_of(tmp_path, age_s=ENDED_S) as (issuer, server, _):
        issuer.gate = anyio.Event()
        send, receive = anyio.create_memory_object_stream[None](2)
        async with anyio.create_task_group() as group, send, receive:
            group.start_soon(process, server, send)
            group.start_soon(process, server, send)
            with anyio.fail_after(WAIT_S * 2):
                await receive.receive()
                await receive.receive()
                await issuer.until_asked(2)
            issuer.gate.set()
    assert issuer.grants == ["authorization_code", "refresh_token"]
    assert len(said) == 2
    assert said[0] == said[1]


# -- refusals ----------------------------------------------------------------------------------------------------------


async def test_a_call_refused_in_mid_session_is_made_again_with_a_new_token(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (issuer, server, home), dispatcher(server.url, home.credential) as upstream:
        await handshake(upstream, LEGACY)
        issuer.revoke_access()
        result = await ask(upstream, "tools/call", {"name": "echo", "arguments": {"text": "again"}})
    assert result["content"][0]["text"] == "again"
    assert issuer.grants == ["authorization_code", "refresh_token"]


async def test_a_login_that_was_taken_back_says_what_to_run_and_asks_the_issuer_once(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (issuer, server, home), dispatcher(server.url, home.credential) as upstream:
        await handshake(upstream, LEGACY)
        issuer.revoke()
        for _ in range(3):
            with pytest.raises(UpstreamAuth, match="run: mcp-gateway login up") as refused:
                await ask(upstream, "tools/call", {"name": "echo", "arguments": {}})
            assert refused.value.status == 401
    assert issuer.grants == ["authorization_code", "refresh_token"]


async def test_a_wire_of_the_legacy_transport_is_let_in_and_renewed_too(tmp_path: Path) -> None:
    async with login_server() as issuer, guarded_sse(issuer) as url:
        await logged_in(tmp_path, url)
        async with house(tmp_path, url) as home, sse_dispatcher(url, home.credential) as upstream:
            await handshake(upstream, "2024-11-05")
            issuer.revoke_access()
            result = await ask(upstream, "tools/call", {"name": "echo", "arguments": {"text": "again"}})
    assert result["content"][0]["text"] == "again"
    assert issuer.grants == ["authorization_code", "refresh_token"]


async def test_a_token_that_does_not_allow_enough_names_what_it_lacks(tmp_path: Path) -> None:
    async with login_server() as issuer, guarded(issuer) as server:
        await logged_in(tmp_path, server.url, LoginSettings(scopes=("little",)))
        async with house(tmp_path, server.url) as home, dispatcher(server.url, home.credential) as upstream:
            with pytest.raises(UpstreamAuth, match=r"HTTP 403\); .* run: mcp-gateway login up") as refused:
                await handshake(upstream, LEGACY)
    assert refused.value.status == 403
    assert issuer.grants == ["authorization_code"], "a new token would not allow more"


async def test_an_upstream_nobody_has_logged_in_to_says_what_to_run(tmp_path: Path) -> None:
    async with (
        home_of(tmp_path, LoginSettings()) as (_, server, home),
        dispatcher(server.url, home.credential) as upstream,
    ):
        with pytest.raises(UpstreamAuth, match="upstream 'up' wants a login; run: mcp-gateway login up") as refused:
            await handshake(upstream, LEGACY)
    assert refused.value.status == 401
    assert all("authorization" not in request for request in server.requests)


async def test_an_upstream_that_names_another_issuer_gets_no_token_of_the_old_one(tmp_path: Path) -> None:
    async with (
        login_server() as other,
        home_of(tmp_path) as (issuer, server, home),
        dispatcher(server.url, home.credential) as upstream,
    ):
        await handshake(upstream, LEGACY)
        issuer.revoke_access()
        server.resource = {"resource": server.url, "authorization_servers": [other.url]}
        with pytest.raises(UpstreamAuth, match="names another authorization server than before"):
            await ask(upstream, "tools/call", {"name": "echo", "arguments": {}})
    assert issuer.grants == ["authorization_code"]
    assert other.forms == []


async def test_a_login_at_another_issuer_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    async with login_server() as other, home_of(tmp_path) as (_, server, home):
        server.resource = {"resource": server.url, "authorization_servers": [other.url]}
        account = await logged_in(tmp_path, server.url)
        await home.until(lambda: home.changed == ["up"])
        assert await home.credential.header() == account.header
        assert home.store.account() == account
    assert account.issuer.rstrip("/") == other.url
    assert other.grants == ["authorization_code"]


async def test_a_login_of_another_client_or_issuer_than_is_configured_is_not_used(tmp_path: Path) -> None:
    async with home_of(tmp_path, age_s=ENDED_S) as (issuer, server, _):
        async with house(tmp_path, server.url, LoginSettings("other client")) as changed:
            with pytest.raises(UpstreamAuth, match="run: mcp-gateway login up"):
                await changed.credential.header()
        async with house(tmp_path, server.url, LoginSettings(issuer="https://other.example")) as changed:
            assert await changed.credential.header() is None
    assert issuer.grants == ["authorization_code"]


async def test_a_login_for_one_address_or_name_is_none_for_another(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (_, server, home):
        async with house(tmp_path, server.url.replace("/mcp", "/other")) as other:
            assert await other.credential.header() is None
        named = home.logins.credential("namesake", server.url, LoginSettings())
        assert await named.header() is None
        assert await home.credential.header() is not None


# -- the client itself -------------------------------------------------------------------------------------------------


async def test_a_client_logs_in_by_itself_and_again_when_its_token_is_taken_back(tmp_path: Path) -> None:
    async with home_of(tmp_path, MACHINE) as (issuer, server, home):
        issuer.know("robot", "s3cret")
        async with dispatcher(server.url, home.credential) as upstream:
            await handshake(upstream, LEGACY)
            issuer.revoke_access()
            result = await ask(upstream, "tools/call", {"name": "echo", "arguments": {"text": "beep"}})
        assert result["content"][0]["text"] == "beep"
        assert await home.credential.look() is False, "nobody else has logged in"
    assert issuer.grants == ["client_credentials", "client_credentials"]


async def test_a_client_whose_secret_is_wrong_is_told_so(tmp_path: Path) -> None:
    async with home_of(tmp_path, MACHINE) as (issuer, server, home):
        issuer.know("robot", "another")
        async with dispatcher(server.url, home.credential) as upstream:
            with pytest.raises(
                UpstreamAuth, match=r"does not accept the client of the configuration \(invalid_client\)"
            ):
                await handshake(upstream, LEGACY)


async def test_a_client_whose_token_is_not_taken_is_told_where_to_look(tmp_path: Path) -> None:
    settings = replace(MACHINE, scopes=("little",))
    async with home_of(tmp_path, settings) as (issuer, server, home):
        issuer.know("robot", "s3cret")
        async with dispatcher(server.url, home.credential) as upstream:
            with pytest.raises(UpstreamAuth, match=r"our token \(HTTP 403\); see auth\.client_id and auth\.scopes"):
                await handshake(upstream, LEGACY)


async def test_the_secret_of_a_client_is_not_sent_to_an_issuer_that_appears_later(tmp_path: Path) -> None:
    async with login_server() as other, home_of(tmp_path, MACHINE) as (issuer, server, home):
        issuer.know("robot", "s3cret")
        async with dispatcher(server.url, home.credential) as upstream:
            await handshake(upstream, LEGACY)
            issuer.revoke_access()
            server.resource = {"resource": server.url, "authorization_servers": [other.url]}
            with pytest.raises(UpstreamAuth, match="if that is right, run: mcp-gateway login up"):
                await ask(upstream, "tools/call", {"name": "echo", "arguments": {}})
    assert other.forms == []


# -- what is heard of others -------------------------------------------------------------------------------------------


async def test_a_login_made_by_another_process_counts_at_once_and_so_does_its_end(tmp_path: Path) -> None:
    async with home_of(tmp_path, LoginSettings()) as (_, server, home):
        assert await home.credential.header() is None
        account = await logged_in(tmp_path, server.url)
        await home.until(lambda: home.changed == ["up"])
        assert await home.credential.header() == account.header
        home.store.forget()
        await home.until(lambda: home.changed == ["up", "up"])
        assert await home.credential.header() is None


async def test_a_token_that_another_process_renewed_is_no_other_login(tmp_path: Path) -> None:
    async with home_of(tmp_path, age_s=ENDED_S) as (_, server, home), house(tmp_path, server.url) as other:
        old = age(tmp_path, server.url, 0)
        new = await other.credential.header()
        assert await home.credential.look() is False
        assert await home.credential.header() == new != old


async def test_a_login_that_no_key_opens_is_told_and_not_used(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (_, server, _):
        (tmp_path / "secret.key").unlink()
        async with house(tmp_path, server.url) as home:
            with pytest.raises(UpstreamAuth, match="no key that is here opens the stored login of upstream 'up'"):
                await home.credential.header()


# -- what goes upstream ------------------------------------------------------------------------------------------------


async def test_only_the_login_and_the_protocol_go_upstream(tmp_path: Path) -> None:
    """R-CRED-1, with a login: no header of a request takes its place, and none comes along."""
    async with home_of(tmp_path) as (_, server, home):
        headers = {"Authorization": "Bearer of-the-client", "X-Api-Key": "configured"}
        async with dispatcher(server.url, home.credential, headers=headers) as upstream:
            await handshake(upstream, LEGACY)
            server.requests.clear()
            own = {"authorization": "Bearer mine", "mcp-name": "echo"}
            await ask(upstream, "tools/call", {"name": "echo", "arguments": {}}, headers=own)
        header = await home.credential.header()
    request = next(request for request in server.requests if "mcp-name" in request)
    assert request["authorization"] == header
    assert set(request) == {
        "host", "content-type", "accept", "accept-encoding", "content-length", "mcp-session-id",
        "mcp-protocol-version", "x-api-key", "mcp-name", "authorization",
    }  # fmt: skip


async def test_only_a_login_that_cannot_be_renewed_ends(tmp_path: Path) -> None:
    async with home_of(tmp_path) as (issuer, server, home):
        assert home.logins.endings() == []
        issuer.refreshes = False
        account = await logged_in(tmp_path, server.url)
        await home.until(lambda: home.changed == ["up"])
        (ending,) = home.logins.endings()
    assert (ending.server, ending.at, ending.lasts_s) == ("up", account.ends_at, HOUR_S)
