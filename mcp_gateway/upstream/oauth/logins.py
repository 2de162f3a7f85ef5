"""All credentials of one process, and the task that renews them and hears of logins made elsewhere.

Servers' settings enter, credentials leave. Who is reconnected after a login is the listener's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import anyio
import anyio.abc

from mcp_gateway.config.watch import changes, signature
from mcp_gateway.errors import UpstreamUnavailable
from mcp_gateway.observe.reading import Ending
from mcp_gateway.security.vault_file import TOKENS, vault_file
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.oauth.credential import Credential, Told
from mcp_gateway.upstream.oauth.store import TokenStore
from mcp_gateway.upstream.oauth.wire import AuthorizationWire

LAST_RENEWAL_S: Final = 1.0
"""How long leaving waits for a renewal under way: its answer may hold the only refresh token there is (our choice)."""

DEBOUNCE_S: Final = 0.1
"""How long the store has to be at rest; it is replaced as a whole (our choice)."""


class Logins:
    """The credentials of the servers that want one. A credential renews itself only while `run` runs."""

    def __init__(self, folder: Path, environ: Mapping[str, str], told: Told = lambda server, secrets: None) -> None:
        """`told` hears of every token before it is used."""
        self._folder = folder
        self._environ = environ
        self._told = told
        self._file = vault_file(folder, TOKENS)
        self._seen = signature([self._file])
        self._made: dict[str, tuple[str, LoginSettings, Credential]] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._flying: set[anyio.CancelScope] = set()
        self._landed = anyio.Event()

    def credential(self, server: str, url: str, settings: LoginSettings) -> Credential:
        """The credential of a server; the same one while its settings are the same. Blocks for a moment."""
        made = self._made.get(server)
        if made is None or made[:2] != (url, settings):
            store = TokenStore(self._folder, self._environ, server, url)
            wire = AuthorizationWire(server, url, self._environ, settings)
            credential = Credential(server, url, settings, store=store, wire=wire, start=self._start, told=self._told)
            made = self._made[server] = url, settings, credential
        return made[2]

    def login(self, server: str) -> str:
        """Tells whose login a server's calls are authorized by; empty when by none."""
        made = self._made.get(server)
        return "" if made is None else made[2].login

    def endings(self) -> list[Ending]:
        """When logins end that cannot be renewed."""
        return [ending for *_, credential in self._made.values() if (ending := credential.ending) is not None]

    async def run(self, changed: Callable[[str], None], *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Renew, and tell of servers whose login is another one, until cancelled."""
        async with anyio.create_task_group() as group:
            self._group = group
            task_status.started()
            try:
                async for _ in changes(self._seen, lambda: [self._file], lambda: DEBOUNCE_S):
                    await self._look(changed)
            finally:
                self._group = None
                await self._land()

    async def _look(self, changed: Callable[[str], None]) -> None:
        for server, (_, _, credential) in list(self._made.items()):
            if await credential.look():
                changed(server)

    def _start(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._group is None:
            raise UpstreamUnavailable("no token is renewed: the gateway is stopping")
        self._group.start_soon(self._shielded, work)

    async def _shielded(self, work: Callable[[], Awaitable[None]]) -> None:
        with anyio.CancelScope(shield=True) as scope:
            self._flying.add(scope)
            try:
                await work()
            finally:
                self._flying.discard(scope)
                self._landed.set()

    async def _land(self) -> None:
        with anyio.move_on_after(LAST_RENEWAL_S, shield=True):
            while self._flying:
                self._landed = anyio.Event()
                await self._landed.wait()
        for scope in self._flying:
            scope.cancel()
