"""Servers that each caller logs in to for itself: how it is asked to, and that nobody gets what is another's."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_gateway.app import App
from mcp_gateway.config import folders
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from mcp_gateway.upstream.lifecycle import State
from mcp_gateway.upstream.oauth.store import TokenStore

from tests.fakes.everything import Everything
from tests.fakes.login_server import Guarded, LoginServer, guarded, login_server
from tests.interaction.asking import text_of, until
from tests.interaction.house import Served, gateway, sse
from tests.interaction.requirements import shows
from tests.upstream.keeping import FAKES, Moody
from tests.upstream.oauth.house import logged_in
from tests.upstream.test_manager import is_alive

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

KEYS = {"ann": new_key(), "bob": new_key()}


@asynccontextmanager
async def coming(doors: Served, key: str, era: str, **options: Any) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {KEYS[key]}"}
    async with httpx2.AsyncClient(headers=headers, timeout=20) as http:
        target: Any = sse(f"{doors.origin}/sse", headers) if era == "sse" else None
        target = target or streamable_http_client(f"{doors.origin}/mcp", http_client=http)
        async with Client(target, mode="auto" if era == "modern" else "legacy", **options) as client:
            yield client


def state_of(folder: Path) -> Path:
    return folders({"MCP_GATEWAY_HOME": str(folder / "home")}).state


def with_keys(folder: Path) -> KeyStore:
    keys = KeyStore(state_of(folder) / KEYS_FILE)
    for name, key in KEYS.items():
        keys.add(ApiKey(name, hashed(key)))
    return keys


@dataclass
class Home:
    """A gateway in front of `up`, which wants a login of everybody; the operator's is there for the listings."""

    issuer: LoginServer
    server: Guarded
    everything: Everything
    app: App
    doors: Served
    state: Path

    @asynccontextmanager
    async def client(self, key: str, era: str, asked: Asked | None = None) -> AsyncIterator[Client]:
        """A client with somebody's key; it opens pages where there is somebody to be `asked`."""
        options: dict[str, Any] = {} if asked is None else {"elicitation_callback": asked}
        async with coming(self.doors, key, era, **options) as client:
            yield client

    async def sent(self, call: Callable[[], Awaitable[Any]]) -> tuple[set[str], set[str]]:
        """The tokens and the sessions that reach the server while a call is made."""
        self.server.requests.clear()
        await call()
        requests = list(self.server.requests)
        tokens = {request["authorization"] for request in requests if "authorization" in request}
        return tokens, {request["mcp-session-id"] for request in requests if "mcp-session-id" in request}


@dataclass
class Asked:
    """Somebody with a browser and a key, who does as `does` says with the page."""

    does: Callable[[str], Awaitable[str]]
    pages: list[str] = field(default_factory=list)

    async def __call__(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        self.pages.append(params.url)
        action: Any = await self.does(params.url)
        return types.ElicitResult(action=action)


def browser() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(follow_redirects=True, trust_env=False, timeout=20)


async def submit(http: httpx2.AsyncClient, page: str, key: str) -> httpx2.Response:
    """Open the page and fill its form in, as a browser does."""
    assert (await http.get(page)).status_code == 200
    (id,) = parse_qs(urlsplit(page).query)["id"]
    origin = page.partition("/oauth")[0]
    return await http.post(page, data={"id": id, "key": key}, headers={"Origin": origin})


def person(key: str) -> Callable[[str], Awaitable[str]]:
    async def logs_in(page: str) -> str:
        async with browser() as http:
            end = await submit(http, page, KEYS[key])
        assert (end.status_code, "You are logged in to up" in end.text) == (200, True), end.text
        return "accept"

    return logs_in


async def declines(page: str) -> str:
    return "decline"


@asynccontextmanager
async def at_home(folder: Path, era: str = "legacy", *, keys: bool = True, **entry: Any) -> AsyncIterator[Home]:
    state = state_of(folder)
    if keys:
        with_keys(folder)
    everything = Everything()
    async with login_server() as issuer, guarded(issuer, everything.server()) as server:
        await logged_in(state, server.url)
        up = {"url": server.url, "auth": "oauth", "isolation": "user", "era": era, "timeout": 20, **entry}
        async with gateway(folder, {"mcpServers": {"up": up}}) as (app, doors):
            yield Home(issuer, server, everything, app, doors, state)


async def echo(client: Client) -> types.CallToolResult:
    return await client.call_tool("up__echo", {"text": "hi"})


@shows("own-login")
@pytest.mark.parametrize("era", ["legacy", "modern", "sse"])
async def test_a_caller_without_a_login_is_asked_to_open_a_page_and_the_call_goes_on(tmp_path: Path, era: str) -> None:
    asked = Asked(person("ann"))
    async with at_home(tmp_path) as home, home.client("ann", era, asked) as client:
        assert text_of(await echo(client)) == "hi"
        assert text_of(await echo(client)) == "hi"
    assert len(asked.pages) == 1
    assert home.everything.calls == 2
    assert home.issuer.pages[-1]["redirect_uri"] == f"{home.doors.origin}/oauth/callback"


@shows("own-login")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_client_that_opens_no_pages_is_told_what_to_run(tmp_path: Path, era: str) -> None:
    async with at_home(tmp_path) as home, home.client("ann", era) as client:
        result = await echo(client)
    assert text_of(result) == "upstream 'up' wants a login; run: mcp-gateway login up --principal key:ann"
    assert (result.meta or {})["io.mcp-gateway/error"] == {"code": "needs_auth", "server": "up"}
    assert home.everything.calls == 0


@shows("own-login")
@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_whoever_declines_gets_no_answer(tmp_path: Path, era: str) -> None:
    async with at_home(tmp_path) as home, home.client("ann", era, Asked(declines)) as client:
        result = await echo(client)
    assert (result.is_error, text_of(result)) == (True, "upstream 'up' wants a login, which was declined")
    assert home.everything.calls == 0


@shows("own-login")
async def test_a_client_hears_when_the_login_is_made(tmp_path: Path) -> None:
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(message)

    asked = Asked(person("ann"))
    async with (
        at_home(tmp_path) as home,
        coming(home.doors, "ann", "legacy", elicitation_callback=asked, message_handler=hear) as client,
    ):
        await echo(client)
    (complete,) = [message for message in heard if isinstance(message, types.ElicitCompleteNotification)]
    assert asked.pages[0].endswith(f"?id={complete.params.elicitation_id}")


@shows("own-login")
async def test_where_no_keys_are_the_page_asks_for_none_and_the_login_is_everybodys(tmp_path: Path) -> None:
    async def logs_in(page: str) -> str:
        async with browser() as http:
            assert 'name="key"' not in (await http.get(page)).text
            assert (await submit(http, page, "")).status_code == 200
        return "accept"

    asked = Asked(logs_in)
    async with at_home(tmp_path, keys=False) as home, home.client("ann", "legacy", asked) as client:
        assert TokenStore(home.state, {}, "up", home.server.url).forget()
        await home.app.logins.look()
        assert text_of(await echo(client)) == "hi"
        await until(lambda: home.app.upstreams.agent("up").state is State.READY)
    assert len(asked.pages) == 1


@shows("own-login")
async def test_a_login_that_takes_longer_than_the_call_is_used_by_the_next_call(tmp_path: Path) -> None:
    async def says_yes(page: str) -> str:
        return "accept"

    asked = Asked(says_yes)
    async with at_home(tmp_path, timeout=2) as home, home.client("ann", "legacy", asked) as client:
        with pytest.raises(MCPError) as refused:
            await echo(client)
        assert refused.value.error.code == -32042
        (elicitation,) = refused.value.error.data["elicitations"]
        assert (elicitation["mode"], elicitation["url"]) == ("url", asked.pages[0])

        await person("ann")(elicitation["url"])
        assert text_of(await echo(client)) == "hi"


@shows("own-login")
async def test_a_login_that_is_taken_back_is_asked_for_again(tmp_path: Path) -> None:
    asked = Asked(person("ann"))
    async with at_home(tmp_path) as home, home.client("ann", "legacy", asked) as client:
        await echo(client)
        home.issuer.revoke()
        assert text_of(await echo(client)) == "hi"
    assert len(asked.pages) == 2
    assert home.everything.calls == 2


@shows("own-login")
async def test_only_who_was_asked_in_the_browser_that_began_ends_a_login_and_once(tmp_path: Path) -> None:
    ends: list[httpx2.Response] = []

    async def tries_all(page: str) -> str:
        async with browser() as http, browser() as other:
            http.follow_redirects = False
            refusals = [await submit(http, page, key) for key in ("", new_key(), KEYS["bob"])]
            assert [refusal.status_code for refusal in refusals] == [401, 401, 401]
            assert home.issuer.pages == before
            assert (await http.get(page.replace("id=", "id=x"))).status_code == 404

            away = await submit(http, page, KEYS["ann"])
            back = (await http.get(away.headers["location"])).headers["location"]
            guessed = back.partition("?")[0] + "?code=x&state=guessed"
            for browsing, address in ((other, back), (http, guessed), (http, back), (http, back)):
                ends.append(await browsing.get(address))
            assert (await http.get(page)).status_code == 404
        return "accept"

    async with at_home(tmp_path) as home, home.client("ann", "legacy", Asked(tries_all)) as client:
        before = list(home.issuer.pages)
        assert text_of(await echo(client)) == "hi"
    assert [end.status_code for end in ends] == [400, 400, 200, 400]
    assert all(end.headers["cache-control"] == "no-store" for end in ends)


@shows("own-login")
async def test_a_login_that_the_issuer_refuses_fails_the_call_and_the_next_one_asks_again(tmp_path: Path) -> None:
    async def is_refused(page: str) -> str:
        async with browser() as http:
            end = await submit(http, page, KEYS["ann"])
        assert (end.status_code, "refused the login (access_denied)" in end.text) == (502, True)
        return "accept"

    asked = Asked(is_refused)
    async with at_home(tmp_path) as home, home.client("ann", "modern", asked) as client:
        home.issuer.deny = "access_denied"
        assert "refused the login (access_denied)" in text_of(await echo(client))
        home.issuer.deny, asked.does = None, person("ann")
        assert text_of(await echo(client)) == "hi"
    assert asked.pages[0] != asked.pages[1]


@shows("own-login")
async def test_anothers_state_leads_nowhere(tmp_path: Path) -> None:
    """2026-07-28: the state that a retry brings is believed only from whom it was given to."""
    async with at_home(tmp_path) as home:
        invitation = home.app.desk.invite("up", "key:ann")
        state, accepted = f"mcp-gateway-login.{invitation.id}", types.ElicitResult(action="accept")
        async with home.client("bob", "modern", Asked(person("bob"))) as client:
            with anyio.fail_after(10):
                result = await client.session.call_tool(
                    "up__echo",
                    {"text": "hi"},
                    input_responses={"login": accepted},
                    request_state=state,
                    allow_input_required=True,
                )
        assert isinstance(result, types.InputRequiredResult)
        assert invitation.id not in str(result)


# -- nothing is shared -------------------------------------------------------------------------------------------


@shows("own-connection")
async def test_two_callers_share_no_token_session_or_kept_answer(tmp_path: Path) -> None:
    async with (
        at_home(tmp_path, cache={"tools": ["count"]}) as home,
        home.client("ann", "legacy", Asked(person("ann"))) as ann,
        home.client("bob", "legacy", Asked(person("bob"))) as bob,
    ):
        sent = [await home.sent(lambda who=who: echo(who)) for who in (ann, bob)]  # type: ignore[misc]
        for tokens, sessions in sent:
            assert (len(tokens), len(sessions)) == (1, 1)
        assert sent[0][0] != sent[1][0]
        assert sent[0][1] != sent[1][1]

        counted = [await who.call_tool("up__count", {}) for who in (ann, ann, bob)]
        calls = [(result.structured_content or {})["calls"] for result in counted]
        assert calls[0] == calls[1] != calls[2]


@shows("own-connection")
async def test_what_was_kept_under_one_login_is_not_given_under_the_next(tmp_path: Path) -> None:
    asked = Asked(person("ann"))
    async with (
        at_home(tmp_path, cache={"tools": ["count"]}) as home,
        home.client("ann", "legacy", asked) as client,
    ):
        first = await client.call_tool("up__count", {})
        assert TokenStore(home.state, {}, "up", home.server.url, "key:ann").forget()
        await home.app.logins.look()
        second = await client.call_tool("up__count", {})
    assert (first.structured_content or {})["calls"] != (second.structured_content or {})["calls"]
    assert len(asked.pages) == 2


@shows("own-connection")
async def test_the_connection_of_a_revoked_key_is_closed_at_once(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        manager = home.app.upstreams
        async with (
            home.client("ann", "legacy", Asked(person("ann"))) as ann,
            home.client("bob", "legacy", Asked(person("bob"))) as bob,
        ):
            await echo(ann)
            await echo(bob)
            assert len(manager.connections) == 3
            KeyStore(home.state / KEYS_FILE).revoke("bob")
            await until(lambda: len(manager.connections) == 2)
            assert text_of(await echo(ann)) == "hi"


@shows("own-connection")
async def test_callers_have_children_of_their_own_which_end_when_idle_or_revoked(tmp_path: Path) -> None:
    far = Moody(tmp_path)
    command = [sys.executable, "-I", "-S", str(FAKES / "moody_server.py"), str(far.folder)]
    up = {"command": command[0], "args": command[1:], "isolation": "user", "lazy": True, "idle_stop": 1.0}
    keys = with_keys(tmp_path)
    async with gateway(tmp_path, {"mcpServers": {"up": up}}) as (app, doors):
        pids: dict[str, int] = {}
        for name in KEYS:
            async with coming(doors, name, "modern") as client:
                first, second = [await client.call_tool("up__tool_0", {}) for _ in range(2)]
            assert first.structured_content == second.structured_content
            pids[name] = (first.structured_content or {})["pid"]
        assert len({*pids.values(), far.starts[0]}) == 3
        keys.revoke("bob")
        await until(lambda: not is_alive(pids["bob"]))
        await until(lambda: not is_alive(pids["ann"]))
        assert len(app.upstreams.connections) == 1
