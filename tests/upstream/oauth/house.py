"""What the tests of logins share: one upstream's store, wire and credential, with a task that renews."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
from mcp_gateway.errors import GatewayError
from mcp_gateway.upstream.dispatch.http import HttpDispatcher
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.dispatch.sse import SseDispatcher
from mcp_gateway.upstream.oauth.account import Account, LoginSettings
from mcp_gateway.upstream.oauth.credential import Credential
from mcp_gateway.upstream.oauth.entry import log_in
from mcp_gateway.upstream.oauth.logins import Logins
from mcp_gateway.upstream.oauth.store import TokenStore

from tests.fakes.login_server import approve

WAIT_S = 15
"""Longest wait for what should come in a moment: 2 cores are shared."""


def origin(url: str, name: str = "up", **more: Any) -> Origin:
    return Origin(name, url, headers={}, tls=None, proxy=None, max_message_bytes=100_000, **more)


def sse_dispatcher(url: str, credential: Credential) -> SseDispatcher:
    way = Origin("up", url, headers={}, tls=None, proxy=None, authorization=credential)
    return SseDispatcher(way, listener=lambda method, params: None)


def dispatcher(url: str, credential: Credential, headers: Mapping[str, str] | None = None) -> HttpDispatcher:
    way = Origin("up", url, headers=headers or {}, tls=None, proxy=None, authorization=credential)
    return HttpDispatcher(way, listener=lambda method, params: None)


async def logged_in(
    folder: Path,
    url: str,
    settings: LoginSettings | None = None,
    *,
    person: Callable[[str], Coroutine[Any, Any, object]] = approve,
    within_s: float = WAIT_S,
) -> Account:
    """Log in as this person, who approves unless said otherwise. Raises as `log_in` does."""
    outcome: Account | GatewayError
    async with anyio.create_task_group() as group:

        def show(page: str) -> None:
            group.start_soon(person, page)

        settings = settings or LoginSettings()
        try:
            outcome = await log_in(origin(url), url, settings, folder, {}, show, within_s=within_s)
        except GatewayError as failure:  # the group would wrap it
            outcome = failure
    if isinstance(outcome, GatewayError):
        raise outcome
    return outcome


def age(folder: Path, url: str, by_s: float) -> str:
    """Make the stored login older, as if time had passed before a process began; its header."""
    store = TokenStore(folder, {}, "up", url)
    account = store.account()
    assert account is not None
    store.put(replace(account, obtained_at=account.obtained_at - by_s))
    return account.header


@dataclass
class House:
    """One process with a credential for one upstream. `changed` are the servers whose login is another one."""

    folder: Path
    url: str
    logins: Logins
    credential: Credential
    changed: list[str] = field(default_factory=list)
    notice: anyio.Event = field(default_factory=anyio.Event)

    @property
    def store(self) -> TokenStore:
        return TokenStore(self.folder, {}, "up", self.url)

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(WAIT_S):
            while not condition():
                await self.notice.wait()
                self.notice = anyio.Event()


@asynccontextmanager
async def house(folder: Path, url: str, settings: LoginSettings | None = None) -> AsyncIterator[House]:
    """A credential that renews itself while the context lasts."""
    logins = Logins(folder, {})
    home = House(folder, url, logins, logins.credential("up", url, settings or LoginSettings()))

    def changed(server: str, principal: str | None) -> None:
        home.changed.append(server)
        home.notice.set()

    async with anyio.create_task_group() as group:
        await group.start(logins.run, changed)
        yield home
        group.cancel_scope.cancel()
