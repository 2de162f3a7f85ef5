"""Logins of remote callers: who was invited to log in where, and what came of it.

A server and a principal enter, an `Invitation` leaves; the door shows its pages and brings the answer back. An
invitation is good for one principal, one browser and one login, and for a while only. It never leaves the process:
what goes out are ids that nobody can guess.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from mcp_gateway.errors import GatewayError, UnknownName
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.oauth.callback import Answer
from mcp_gateway.upstream.oauth.discovery import discover
from mcp_gateway.upstream.oauth.entry import challenge_of, keep
from mcp_gateway.upstream.oauth.login import Attempt, at_door
from mcp_gateway.upstream.oauth.logins import Logins
from mcp_gateway.upstream.oauth.store import TokenStore
from mcp_gateway.upstream.oauth.wire import AuthorizationWire

logger = logging.getLogger(__name__)

KEEP_S: Final = 600.0
"""How long a person may take (protocol facts, 4.1)."""

PLACES: Final = 256
"""Invitations kept; the oldest goes when one more comes (our choice)."""

OF_PRINCIPAL: Final = 16
"""Of those, the ones of one principal, so that it cannot push out those of others (our choice)."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is reached before there is a login, and how its login is wanted."""

    origin: Origin
    url: str
    settings: LoginSettings


@dataclass(slots=True)
class Invitation:
    """One principal may log in to one server. `opened` is set once its page has been: by one browser."""

    id: str
    server: str
    principal: str
    until_monotonic_s: float
    opened: Opened | None = None
    done: anyio.Event = field(default_factory=anyio.Event)
    failure: GatewayError | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A login that is under way. `browser` is the secret of the browser that may bring the answer back."""

    store: TokenStore
    attempt: Attempt
    browser: str = field(repr=False)


class Desk:
    """For one event loop. `way` finds a server that principals log in to by themselves, None when it is none."""

    def __init__(
        self,
        logins: Logins,
        way: Callable[[str], Way | None],
        folder: Path,
        environ: Mapping[str, str],
        clock: Callable[[], float] = time.monotonic,
        *,
        admitted: Callable[[str], bool] = lambda principal: True,
    ) -> None:
        """`admitted` tells whether a principal may still come in: a login of one that may not is not stored."""
        self._logins = logins
        self._admitted = admitted
        self._way = way
        self._folder = folder
        self._environ = environ
        self._clock = clock
        self._invitations: OrderedDict[str, Invitation] = OrderedDict()

    def serves(self, server: str) -> bool:
        """Whether principals log in to this server by themselves."""
        return self._way(server) is not None

    def invite(self, server: str, principal: str) -> Invitation:
        """The invitation that a principal has for a server; a new one where there is none that lasts for a while."""
        self._clear()
        mine = [one for one in self._invitations.values() if one.principal == principal]
        for invitation in mine:
            lasts_s = invitation.until_monotonic_s - self._clock()
            if invitation.server == server and not invitation.done.is_set() and lasts_s > KEEP_S / 2:
                return invitation
        if len(mine) >= OF_PRINCIPAL:
            del self._invitations[mine[0].id]
        while len(self._invitations) >= PLACES:
            self._invitations.popitem(last=False)
        invitation = Invitation(secrets.token_urlsafe(32), server, principal, self._clock() + KEEP_S)
        self._invitations[invitation.id] = invitation
        return invitation

    def find(self, id: str, principal: str | None = None) -> Invitation | None:
        """An invitation that is still good, also just after its login; None for one of another principal."""
        self._clear()
        invitation = self._invitations.get(id)
        return invitation if invitation is not None and principal in (None, invitation.principal) else None

    async def open(self, id: str, principal: str, redirect_uri: str) -> Opened:
        """Begin the login. Opening it again begins anew: what the page before leads to is of no use any more.

        Raises:
            UnknownName: there is no such invitation, or not for this principal.
            UpstreamAuth, UpstreamUnavailable, CannotCreate, SecretKeyRefused: the login cannot begin.
        """
        invitation = self._good(id, principal)
        way = self._way(invitation.server)
        if way is None:
            raise UnknownName("login", id)
        store = TokenStore(self._folder, self._environ, invitation.server, way.url, principal)
        wire = AuthorizationWire(invitation.server, way.url, self._environ, way.settings)
        place = await discover(wire, way.url, await challenge_of(way.origin), way.settings.issuer)
        attempt = await at_door(wire, place, way.settings, store, redirect_uri)
        opened = invitation.opened = Opened(store, attempt, secrets.token_urlsafe(32))
        return opened

    async def close(self, state: str, browser: str, answer: Answer) -> Invitation:
        """Take the answer of a login: its state and its browser have to be those of one that is under way.

        Raises:
            UnknownName: they are not; nothing has changed.
            UpstreamAuth, UpstreamUnavailable, CannotCreate, SecretKeyRefused: the login came to nothing.
        """
        invitation = self._under_way(state, browser)
        opened, invitation.opened = invitation.opened, None
        assert opened is not None, "it is under way"
        try:
            await self._finish(invitation, opened, answer)
        except GatewayError as failure:
            invitation.failure = failure
            logger.info("oauth.login_failed name=%s principal=%s", invitation.server, invitation.principal)
            with anyio.CancelScope(shield=True):  # the issuer may know the client no more: the next login registers one
                await anyio.to_thread.run_sync(
                    opened.store.forget_registration, opened.attempt.issuer, opened.attempt.redirect_uri
                )
            raise
        finally:
            invitation.done.set()
        return invitation

    async def _finish(self, invitation: Invitation, opened: Opened, answer: Answer) -> None:
        account = await opened.attempt.account(answer)
        await keep(opened.store, account, invitation.server)
        await self._logins.look()
        logger.info(
            "oauth.logged_in name=%s principal=%s issuer=%s", invitation.server, invitation.principal, account.issuer
        )

    def _good(self, id: str, principal: str) -> Invitation:
        invitation = self.find(id, principal)
        if invitation is None or invitation.done.is_set():
            raise UnknownName("login", id)
        return invitation

    def _under_way(self, state: str, browser: str) -> Invitation:
        self._clear()
        for invitation in self._invitations.values():
            opened = invitation.opened
            if opened is not None and _same(opened.attempt.state, state) and _same(opened.browser, browser):
                if self._admitted(invitation.principal):
                    return invitation
                break
        raise UnknownName("login", "this one is not under way")

    def _clear(self) -> None:
        """Forget what has become too old; the order is that of coming."""
        now_s = self._clock()
        for id, invitation in list(self._invitations.items()):
            if invitation.until_monotonic_s > now_s:
                return
            del self._invitations[id]


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
