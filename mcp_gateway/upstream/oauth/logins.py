"""All credentials of one process, and the task that renews them and hears of logins made elsewhere.

Servers' settings and principals enter, credentials leave. Who is reconnected after a login is the listener's business.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.abc

from mcp_gateway.config.watch import changes, signature
from mcp_gateway.errors import UpstreamUnavailable
from mcp_gateway.observe.reading import Ending
from mcp_gateway.security.principal import LOCAL
from mcp_gateway.security.vault_file import TOKENS, vault_file
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.oauth.credential import Credential, Told
from mcp_gateway.upstream.oauth.store import TokenStore
from mcp_gateway.upstream.oauth.wire import AuthorizationWire

LAST_RENEWAL_S: Final = 1.0
"""How long leaving waits for a renewal under way: its answer may hold the only refresh token there is (our choice)."""

DEBOUNCE_S: Final = 0.1
"""How long the store has to be at rest; it is replaced as a whole (our choice)."""


RECENT: Final = 256
"""Principals' own credentials that stay at hand when no connection uses them; they can be read again (our choice)."""

Whose = tuple[str, str | None]
"""A server, and the principal whose own login to it is meant; None for the one that everybody uses."""

Changed = Callable[[str, str | None], None]
"""Hears whose login is another one: a server and a principal, as in `Whose`."""


class Logins:
    """The credentials of the servers that want one. A credential renews itself only while `run` runs."""

    def __init__(self, folder: Path, environ: Mapping[str, str], told: Told = lambda server, secrets: None) -> None:
        """`told` hears of every token before it is used."""
        self._folder = folder
        self._environ = environ
        self._told = told
        self._file = vault_file(folder, TOKENS)
        self._seen = signature([self._file])
        self._made: WeakValueDictionary[Whose, Credential] = WeakValueDictionary()
        self._everybodys: dict[str, Credential] = {}
        self._recent: OrderedDict[Whose, Credential] = OrderedDict()
        self._changed: Changed = lambda server, principal: None
        self._looking = anyio.Lock()
        self._group: anyio.abc.TaskGroup | None = None
        self._flying: set[anyio.CancelScope] = set()
        self._landed = anyio.Event()

    def credential(self, server: str, url: str, settings: LoginSettings, principal: str | None = None) -> Credential:
        """The credential of a server for everybody's calls, or for one principal's own.

        The same one while its settings are the same. Blocks for a moment when it is a new one.
        """
        whose = server, principal
        credential = self._made.get(whose)
        if credential is None or not credential.is_for(url, settings):
            credential = self._made[whose] = self._new(server, url, settings, principal)
        if principal is None:
            self._everybodys[server] = credential
        else:
            self._keep(whose, credential)
        return credential

    def _new(self, server: str, url: str, settings: LoginSettings, principal: str | None) -> Credential:
        return Credential(
            server,
            url,
            settings,
            store=TokenStore(self._folder, self._environ, server, url, principal or LOCAL.id),
            wire=AuthorizationWire(server, url, self._environ, settings),
            start=self._start,
            told=self._told,
            principal=principal,
        )

    def _keep(self, whose: Whose, credential: Credential) -> None:
        self._recent[whose] = credential
        self._recent.move_to_end(whose)
        while len(self._recent) > RECENT:
            self._recent.popitem(last=False)

    def login(self, server: str, principal: str | None = None) -> str:
        """Tells whose login a server's calls are authorized by; empty when by none."""
        credential = self._made.get((server, principal))
        return "" if credential is None else credential.login

    def endings(self) -> list[Ending]:
        """When logins end that everybody uses and that cannot be renewed."""
        made = self._everybodys.values()
        return [ending for credential in made if (ending := credential.ending) is not None]

    async def look(self) -> None:
        """Read again what is stored, and tell whose login is another one; nothing before `run` runs."""
        async with self._looking:
            for (server, principal), credential in list(self._made.items()):
                if await credential.look():
                    self._changed(server, principal)

    async def run(self, changed: Changed, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Renew, and tell whose login is another one, until cancelled."""
        self._changed = changed
        async with anyio.create_task_group() as group:
            self._group = group
            task_status.started()
            try:
                async for _ in changes(self._seen, lambda: [self._file], lambda: DEBOUNCE_S):
                    await self.look()
            finally:
                self._group = None
                await self._land()

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
