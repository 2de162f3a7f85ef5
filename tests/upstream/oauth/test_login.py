"""Logging in, against a real authorization server and an MCP server that takes its tokens alone."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest
from mcp_gateway.errors import GatewayError, PortBusy, UpstreamAuth, UpstreamUnavailable
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.oauth.entry import log_in
from mcp_gateway.upstream.oauth.store import TokenStore

from tests.fakes.login_server import Guarded, LoginServer, approve, guarded, login_server
from tests.upstream.dispatch.https import LEGACY, handshake
from tests.upstream.dispatch.pipes import ask
from tests.upstream.oauth.house import WAIT_S, age, dispatcher, house, logged_in, origin

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


@asynccontextmanager
async def far_end() -> AsyncIterator[tuple[LoginServer, Guarded]]:
    async with login_server() as issuer, guarded(issuer) as server:
        yield issuer, server


async def nobody(page: str) -> None:
    pass


def state_files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


async def browse(page: str, **changes: str) -> httpx2.Response:
    """Call the callback of a login without its authorization server: `changes` are fields of the answer."""
    fields = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
    answer = {"state": fields["state"], **changes}
    async with httpx2.AsyncClient(trust_env=False) as browser:
        return await browser.get(fields["redirect_uri"], params=answer)


async def test_a_person_logs_in_and_the_upstream_takes_the_token(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        await logged_in(tmp_path, server.url)
        async with house(tmp_path, server.url) as home, dispatcher(server.url, home.credential) as upstream:
            await handshake(upstream, LEGACY)
            result = await ask(upstream, "tools/call", {"name": "echo", "arguments": {"text": "hi"}})
    assert result["content"][0]["text"] == "hi"
    assert issuer.grants == ["authorization_code"]
    assert issuer.pages[0]["resource"] == issuer.forms[0]["resource"] == server.url
    assert issuer.pages[0]["scope"] == "use"


async def test_a_client_that_registered_itself_is_the_same_the_next_time(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        await logged_in(tmp_path, server.url)
        await logged_in(tmp_path, server.url)
    assert [page["client_id"] for page in issuer.pages] == ["registered-0", "registered-0"]
    assert issuer.clients["registered-0"]["application_type"] == "native"


async def test_a_client_whose_port_is_taken_registers_again(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        await logged_in(tmp_path, server.url)
        port = urlsplit(issuer.pages[0]["redirect_uri"]).port
        with socket.create_server(("127.0.0.1", port or 0)):
            await logged_in(tmp_path, server.url)
    assert len(issuer.clients) == 2


async def test_after_a_login_that_came_to_nothing_the_client_registers_again(tmp_path: Path) -> None:
    """The issuer may have forgotten the client; it shows that to the browser alone."""
    async with far_end() as (issuer, server):
        await logged_in(tmp_path, server.url)
        issuer.clients.clear()
        with pytest.raises(UpstreamAuth, match="nobody logged in"):
            await logged_in(tmp_path, server.url, within_s=0.5)
        await logged_in(tmp_path, server.url)
    assert len(issuer.clients) == 1


async def test_a_port_that_is_asked_for_and_taken_is_an_error(tmp_path: Path) -> None:
    async with far_end() as (_, server):
        with (
            socket.create_server(("127.0.0.1", 0)) as taken,
            pytest.raises(PortBusy, match=r"change auth\.redirect_port"),
        ):
            await logged_in(tmp_path, server.url, LoginSettings(redirect_port=taken.getsockname()[1]))


@pytest.mark.parametrize("methods", [["client_secret_post"], ["client_secret_basic"], None])
async def test_a_configured_client_shows_its_secret_and_asks_for_its_scopes(
    tmp_path: Path, methods: list[str] | None
) -> None:
    async with far_end() as (issuer, server):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        issuer.know("ours", "s3cret: &", f"http://127.0.0.1:{port}/callback")
        issuer.metadata = {"token_endpoint_auth_methods_supported": methods, "registration_endpoint": None}
        settings = LoginSettings("ours", "s3cret: &", scopes=("use", "more"), redirect_port=port)
        account = await logged_in(tmp_path, server.url, settings)
    assert issuer.pages[0]["scope"] == "use more"
    assert ("client_secret" in issuer.forms[0]) == (methods == ["client_secret_post"])
    assert account.client.secret is None, "a configured secret stays in the configuration"


async def test_a_refresh_token_is_asked_for_where_that_takes_a_scope(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        issuer.metadata = {"scopes_supported": ["use", "other", "offline_access"]}
        await logged_in(tmp_path, server.url)
    assert issuer.pages[0]["scope"] == "use offline_access"
    assert issuer.pages[0]["prompt"] == "consent"


# -- answers that are not to be believed -------------------------------------------------------------------------------


async def test_an_answer_with_another_state_is_refused_and_ends_nothing(tmp_path: Path) -> None:
    """RFC 6749, section 10.12."""
    answers: list[int] = []

    async def person(page: str) -> None:
        answers.append((await browse(page, state="guessed", code="evil", iss=issuer.url)).status_code)
        answers.append((await approve(page)).status_code)

    async with far_end() as (issuer, server):
        await logged_in(tmp_path, server.url, person=person)
    assert answers == [400, 200]
    assert "evil" not in [form["code"] for form in issuer.forms]


@pytest.mark.parametrize(
    ("iss", "advertised"),
    [("https://other.example", True), ("https://other.example", None), ("", True)],
    ids=["another", "another, not advertised", "none, though advertised"],
)
async def test_an_answer_of_another_issuer_is_refused(tmp_path: Path, iss: str, advertised: bool | None) -> None:
    """RFC 9207, section 2.4."""
    async with far_end() as (issuer, server):
        issuer.iss = iss
        issuer.metadata = {"authorization_response_iss_parameter_supported": advertised}
        with pytest.raises(UpstreamAuth, match="is not the one that answered the login"):
            await logged_in(tmp_path, server.url)
    assert issuer.forms == [], "the code is sent to nobody"


async def test_an_issuer_that_does_not_name_itself_is_believed_unless_it_says_that_it_does(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        issuer.iss, issuer.metadata = "", {"authorization_response_iss_parameter_supported": None}
        await logged_in(tmp_path, server.url)
    assert issuer.grants == ["authorization_code"]


async def test_a_code_of_another_login_gives_no_token(tmp_path: Path) -> None:
    """PKCE (RFC 7636): whoever gets hold of a code cannot use it, and a planted one logs nobody in."""

    async def person(page: str) -> None:
        fields = {name: values[0] for name, values in parse_qs(urlsplit(page).query).items()}
        stolen = issuer.code({**fields, "code_challenge": "of-another-verifier"})
        await browse(page, code=stolen, iss=issuer.url)

    async with far_end() as (issuer, server):
        with pytest.raises(UpstreamAuth, match=r"gave no token for the login \(invalid_grant\)") as caught:
            await logged_in(tmp_path, server.url, person=person)
    assert "stranger" not in caught.value.message
    assert TokenStore(tmp_path, {}, "up", server.url).account() is None


# -- logins that come to nothing ---------------------------------------------------------------------------------------


async def test_a_person_who_says_no_is_believed(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        issuer.deny = "access_denied"
        with pytest.raises(UpstreamAuth, match=r"refused the login \(access_denied\)"):
            await logged_in(tmp_path, server.url)


async def test_a_login_nobody_comes_to_ends(tmp_path: Path) -> None:
    async with far_end() as (_, server):
        with pytest.raises(UpstreamAuth, match=r"nobody logged in to upstream 'up' within 0\.05 s"):
            await logged_in(tmp_path, server.url, person=nobody, within_s=0.05)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"registration_endpoint": None}, "register one there and write its auth.client_id"),
        ({"code_challenge_methods_supported": None}, "does not say that it supports PKCE"),
        ({"code_challenge_methods_supported": ["plain"]}, "does not say that it supports PKCE"),
        ({"issuer": "https://other.example"}, "publishes the metadata of another issuer"),
        ({"token_endpoint": None}, "metadata that names it is malformed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_an_issuer_that_cannot_be_used_is_told_why(
    tmp_path: Path, metadata: dict[str, object], message: str
) -> None:
    async with far_end() as (issuer, server):
        issuer.metadata = metadata
        with pytest.raises(UpstreamAuth, match=message):
            await logged_in(tmp_path, server.url)
    assert issuer.pages == []


@pytest.mark.parametrize(
    ("registers", "message"),
    [
        (400, r"registers no client for us \(invalid_redirect_uri\)"),
        ({"client_id": None}, "answered a registration with something else"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "registered a client that cannot be used"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "registered a client that cannot be used"),
    ],
    ids=str,
)
async def test_a_registration_that_does_not_help_asks_for_a_client_of_ones_own(
    tmp_path: Path, registers: dict[str, object] | int, message: str
) -> None:
    async with far_end() as (issuer, server):
        issuer.registers = registers
        with pytest.raises(UpstreamAuth, match=f"{message}.*; write an auth.client_id"):
            await logged_in(tmp_path, server.url)
    assert issuer.pages == []


@pytest.mark.parametrize(
    "gives", [{"access_token": "a\r\nb"}, {"access_token": ""}, {"expires_in": -1}, {"token_type": "mac"}], ids=str
)
async def test_a_token_that_no_header_can_carry_is_refused(tmp_path: Path, gives: dict[str, object]) -> None:
    async with far_end() as (issuer, server):
        issuer.gives = gives
        with pytest.raises(UpstreamAuth, match="gave no token that can be used"):
            await logged_in(tmp_path, server.url)
    assert TokenStore(tmp_path, {}, "up", server.url).account() is None


async def test_a_server_that_is_not_there_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnavailable, match="cannot be asked: it cannot be reached"):
        await logged_in(tmp_path, "http://127.0.0.1:9/mcp")


async def test_an_issuer_that_is_out_of_order_is_asked_again_later(tmp_path: Path) -> None:
    async with far_end() as (issuer, server):
        issuer.status = 503
        with pytest.raises(UpstreamUnavailable, match="answered with HTTP 503"):
            await logged_in(tmp_path, server.url)


async def test_nothing_of_a_login_can_be_read_in_the_state_folder_or_in_messages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with far_end() as (issuer, server):
        account = await logged_in(tmp_path, server.url)
        age(tmp_path, server.url, 4000)
        async with house(tmp_path, server.url) as home:
            await home.credential.header()
            shown = [repr(account), repr(home.store.account()), repr(home.credential)]
        kept = issuer.secrets
        issuer.revoke()
        age(tmp_path, server.url, 4000)
        async with house(tmp_path, server.url) as home:
            with pytest.raises(GatewayError) as refused:
                await home.credential.header()
            shown.append(refused.value.message)
    files = state_files(tmp_path)
    shown += [file.read_text(errors="replace") for file in files]
    shown += [record.getMessage() for record in caplog.records if record.name.startswith("mcp_gateway")]
    held = account.tokens
    for secret in [*kept, held.access, held.refresh or ""]:
        assert secret
        assert not any(secret in text for text in shown)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


async def test_the_wait_for_a_person_holds_nothing_up(tmp_path: Path) -> None:
    """A login under way does not keep the upstream's present token from being renewed."""
    async with far_end() as (issuer, server), anyio.create_task_group() as group:
        await logged_in(tmp_path, server.url)
        shown = anyio.Event()
        group.start_soon(
            log_in, origin(server.url), server.url, LoginSettings(), tmp_path, {}, lambda page: shown.set()
        )
        await shown.wait()
        age(tmp_path, server.url, 4000)
        async with house(tmp_path, server.url) as home:
            with anyio.fail_after(WAIT_S):
                assert await home.credential.header() is not None
        group.cancel_scope.cancel()
    assert issuer.grants == ["authorization_code", "refresh_token"]
