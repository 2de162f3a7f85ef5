"""The credential of one upstream that wants a login: a header for every request, renewed before it ends.

Requests ask for a header and get one at once while there is a token that works. Renewing is a flight of its own: it
belongs to no request, so that the end of one does not lose a token that was given out; no lock is held while requests
are under way. Of several processes one renews, the others find what it got.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import anyio.to_thread

from mcp_gateway.errors import GatewayError, InternalError, NeedsAuth, UpstreamAuth, UpstreamUnavailable
from mcp_gateway.observe.reading import Ending
from mcp_gateway.security.principal import LOCAL
from mcp_gateway.upstream.oauth.account import Account, LoginSettings, OAuthClient
from mcp_gateway.upstream.oauth.advice import to_log_in
from mcp_gateway.upstream.oauth.challenge import bearer, wanted_scope
from mcp_gateway.upstream.oauth.store import TokenStore
from mcp_gateway.upstream.oauth.turn import turn
from mcp_gateway.upstream.oauth.wire import AuthorizationWire, Declined

logger = logging.getLogger(__name__)

PAUSE_S: Final = 10.0
"""Between two attempts to renew when the first failed, or its token was refused at once (our choice)."""
FLIGHT_WITHIN_S: Final = 30.0
"""Longest that renewing takes, with the wait for another process that does it (our choice)."""

Start = Callable[[Callable[[], Awaitable[None]]], None]
"""Starts a task that belongs to no request."""

Told = Callable[[str, tuple[str, ...]], None]
"""Hears of a server's secrets, so that they can be kept out of what is shown."""


class _Flight:
    """One renewal on its way; `failure` says why it brought nothing."""

    def __init__(self) -> None:
        self.landed = anyio.Event()
        self.failure: GatewayError | None = None


class Credential:
    """See `Authorization`. Made with the login that is stored; blocks for a moment."""

    def __init__(
        self,
        server: str,
        url: str,
        settings: LoginSettings,
        *,
        store: TokenStore,
        wire: AuthorizationWire,
        start: Start,
        told: Told,
        principal: str | None = None,
    ) -> None:
        """`principal` is the one whose calls it is for; None for everybody's, with the login of the local person."""
        self._server = server
        self._own = principal is not None
        self._principal = principal or LOCAL.id
        self._url = url
        self._settings = settings
        self._store = store
        self._wire = wire
        self._start = start
        self._tell = told
        self._flight: _Flight | None = None
        self._not_before_monotonic_s = 0.0
        self._after_refusal: tuple[str | None, float] = None, 0.0
        self._account: Account | None = None
        self._unreadable: GatewayError | None = None
        self._take(self._read())
        self._told = self._state()

    @property
    def login(self) -> str:
        """Tells one login from another; empty while there is none. Renewed tokens are of the same."""
        return "" if self._account is None else self._account.login

    @property
    def ending(self) -> Ending | None:
        """When the login ends; None where it does not, can be renewed, or there is none."""
        account = self._account
        if account is None or account.ends_at is None or self._may_be_renewed(account):
            return None
        fix = f"it cannot be renewed: {to_log_in(self._server, self._principal)}"
        what = f"the login of upstream {self._server!r}"
        return Ending(account.ends_at, account.tokens.lasts_s, what, fix, server=self._server)

    def is_for(self, url: str, settings: LoginSettings) -> bool:
        """Whether it was made for this address and these settings."""
        return (self._url, self._settings) == (url, settings)

    async def look(self) -> bool:
        """Read again what is stored: True when that is another login than when it was last asked."""
        self._take(await self._stored())
        before, self._told = self._told, self._state()
        return self._told != before

    # -- what a wire asks for --------------------------------------------------------------------------------------

    async def header(self) -> str | None:
        """See `Authorization.header`."""
        account, now = self._account, time.time()
        if account is None:
            if self._unreadable is not None:
                raise self._unreadable
            return None  # the refusal says where to log in
        if account.has_ended(now):
            return await self._awaited(self._flown(account.header, None))
        if account.is_due(now) and self._may_be_renewed(account) and time.monotonic() >= self._not_before_monotonic_s:
            self._flown(account.header, None)
        return account.header

    async def renewed(self, refused: str | None, challenge: str | None) -> str | None:
        """See `Authorization.renewed`."""
        if self._account is not None and self._account.header != refused:
            return self._account.header
        last, at_monotonic_s = self._after_refusal
        if refused is not None and refused == last and time.monotonic() - at_monotonic_s < PAUSE_S:
            return None  # the new token is refused as the old one was
        header = await self._awaited(self._flown(refused, challenge))
        if refused is not None:
            self._after_refusal = header, time.monotonic()
        return None if header == refused else header

    def refusal(self, status: int, challenge: str | None) -> UpstreamAuth:
        """See `Authorization.refusal`."""
        error = self._refusal(status, challenge)
        error.status, error.challenge = status, challenge
        return error

    def _refusal(self, status: int, challenge: str | None) -> UpstreamAuth:
        if self._settings.client_credentials:
            return self._says(f"does not accept our token (HTTP {status}); see auth.client_id and auth.scopes")
        if self._account is None:
            return self._wants("wants a login; run: {}")
        if status == 403:
            scope = wanted_scope(challenge) if bearer(challenge).get("error") == "insufficient_scope" else None
            more = f"add {scope!r} to auth.scopes and run" if scope else "for another account run"
            command = to_log_in(self._server, self._principal)
            return self._says(f"does not allow this to our account (HTTP 403); {more}: {command}")
        return self._ended()

    # -- the flight ------------------------------------------------------------------------------------------------

    def _flown(self, used: str | None, challenge: str | None) -> _Flight:
        """The flight that is on its way; a new one starts where there is none. `used` is the header it replaces."""
        if self._flight is None:
            flight = _Flight()
            self._start(lambda: self._fly(flight, used, challenge))
            self._flight = flight
        return self._flight

    async def _awaited(self, flight: _Flight) -> str | None:
        await flight.landed.wait()
        if flight.failure is not None:
            raise copy.copy(flight.failure)
        return None if self._account is None else self._account.header

    async def _fly(self, flight: _Flight, used: str | None, challenge: str | None) -> None:
        try:
            with anyio.fail_after(FLIGHT_WITHIN_S):
                async with turn(self._store.lock_file, FLIGHT_WITHIN_S):
                    await self._renew(used, challenge)
        except GatewayError as failure:
            flight.failure = failure
        except (TimeoutError, OSError) as fault:
            why = "took too long" if isinstance(fault, TimeoutError) else f"is not possible ({fault.strerror})"
            flight.failure = UpstreamUnavailable(
                f"renewing the token of upstream {self._server!r} {why}", server=self._server
            )
        except Exception:  # boundary: whatever an answer brings about must not leave requests waiting
            logger.exception("oauth.renewal_failed name=%s", self._server)
            flight.failure = InternalError(
                f"renewing the token of upstream {self._server!r} met a fault of the gateway; see its log"
            )
        finally:
            self._flight = None
            if flight.failure is not None:
                self._not_before_monotonic_s = time.monotonic() + PAUSE_S
                logger.warning("oauth.not_renewed name=%s reason=%s", self._server, flight.failure.message)
            flight.landed.set()

    async def _renew(self, used: str | None, challenge: str | None) -> None:
        """Get other tokens than those `used`, from the store or from the issuer. Raises GatewayError."""
        stored = await self._stored()
        if stored is not None and stored.header != used and not stored.has_ended(time.time()):
            self._take(stored)
            return
        if self._settings.client_credentials:
            renewed = await self._as_client(stored, challenge)
        elif stored is None:
            self._take(None)
            return
        else:
            renewed = await self._refreshed(stored, challenge)
        self._take(renewed)
        if self._settings.client_credentials:
            self._told = self._state()  # nobody else has logged in
        await self._keep(renewed)
        logger.info("oauth.renewed name=%s issuer=%s", self._server, renewed.issuer)

    async def _as_client(self, stored: Account | None, challenge: str | None) -> Account:
        from mcp_gateway.upstream.oauth.discovery import discover
        from mcp_gateway.upstream.oauth.login import as_client

        known = None if stored is None else stored.issuer
        place = await discover(self._wire, self._url, challenge, self._settings.issuer, known)
        if known is not None and place.issuer != known and self._settings.issuer is None:
            raise self._moved()
        return await as_client(self._wire, place, self._settings)

    async def _refreshed(self, stored: Account, challenge: str | None) -> Account:
        from mcp_gateway.upstream.oauth import grant

        if challenge is not None:
            await self._check_issuer(stored, challenge)
        refresh_token, client = stored.tokens.refresh, self._client(stored)
        if refresh_token is None or client is None:
            raise self._ended()
        try:
            tokens = await grant.by_refresh(self._wire, stored, client, refresh_token)
        except Declined as declined:
            logger.info("oauth.refresh_declined name=%s error=%s", self._server, declined.error)
            if declined.error == "invalid_grant":
                self._take(stored.unrenewable())
                await self._keep(stored.unrenewable())
            raise self._ended() from None
        return stored.renewed(tokens, time.time())

    async def _check_issuer(self, stored: Account, challenge: str) -> None:
        """An upstream that has gone over to another issuer gets none of the old one's tokens. Raises UpstreamAuth."""
        from mcp_gateway.upstream.oauth.discovery import discover

        try:
            place = await discover(self._wire, self._url, challenge, self._settings.issuer, stored.issuer)
        except UpstreamUnavailable:
            return  # the refresh token goes to its own issuer in any case
        if place.issuer != stored.issuer:
            raise self._moved()

    def _client(self, account: Account) -> OAuthClient | None:
        """Who we were when we logged in; None when the configuration has another client now."""
        if self._settings.client_id is None:
            return account.client if account.client.method == "none" or account.client.secret else None
        if self._settings.client_id != account.client.id:
            return None
        return OAuthClient(account.client.id, self._settings.client_secret, account.client.method)

    def _may_be_renewed(self, account: Account) -> bool:
        return self._settings.client_credentials or account.tokens.refresh is not None

    # -- the store -------------------------------------------------------------------------------------------------

    def _read(self) -> Account | None:
        """What is stored and may be used; None too when it cannot be read, which is then told to who asks."""
        self._unreadable = None
        try:
            account = self._store.account()
        except GatewayError as failure:
            self._unreadable = UpstreamAuth(failure.message, server=self._server)
            return None
        issuer = self._settings.issuer
        return account if account is None or issuer in (None, account.issuer) else None

    async def _stored(self) -> Account | None:
        """What is stored; what we have where the store cannot be read, or could not be written to."""
        stored, mine = await anyio.to_thread.run_sync(self._read), self._account
        if mine is None or (stored is None and self._unreadable is None):
            return stored
        if stored is None or (mine.login == stored.login and mine.obtained_at > stored.obtained_at):
            return mine
        return stored

    def _state(self) -> tuple[str, bool]:
        return self.login, self._account is None and self._unreadable is not None

    def _take(self, account: Account | None) -> None:
        if account is not None:
            self._tell(f"{self._server} {self._principal}", account.secrets)
        self._account = account

    async def _keep(self, account: Account) -> None:
        """A disk that refuses costs the next start its login, nothing now."""
        try:
            await anyio.to_thread.run_sync(self._store.put, account)
        except GatewayError as failure:
            logger.error("oauth.not_stored name=%s reason=%s", self._server, failure.message)

    # -- what is raised --------------------------------------------------------------------------------------------

    def _ended(self) -> UpstreamAuth:
        return self._wants("does not accept our login any more; run: {}")

    def _moved(self) -> UpstreamAuth:
        return self._wants("names another authorization server than before; if that is right, run: {}")

    def _wants(self, what: str) -> UpstreamAuth:
        """What a login mends: one's own can be made by who calls. `what` has a place for the command."""
        kind = NeedsAuth if self._own else UpstreamAuth
        return self._says(what.format(to_log_in(self._server, self._principal)), kind)

    def _says(self, what: str, kind: type[UpstreamAuth] = UpstreamAuth) -> UpstreamAuth:
        error = kind(f"upstream {self._server!r} {what}", server=self._server)
        error.status = 401
        return error
