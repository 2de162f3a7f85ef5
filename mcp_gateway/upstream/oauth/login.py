"""Logging in: as a person in a browser (authorization code with PKCE), or as the client itself.

Settings and a challenge enter, an `Account` leaves, which the caller stores. The address to open goes to `show`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
import anyio.to_thread
from mcp.client.auth import PKCEParameters

from mcp_gateway.errors import PortBusy, UpstreamAuth
from mcp_gateway.upstream.oauth import grant
from mcp_gateway.upstream.oauth.account import Account, LoginSettings, OAuthClient, Registration, Tokens
from mcp_gateway.upstream.oauth.advice import to_log_in
from mcp_gateway.upstream.oauth.callback import Answer, Callback, listening
from mcp_gateway.upstream.oauth.discovery import Place
from mcp_gateway.upstream.oauth.registration import configured, register
from mcp_gateway.upstream.oauth.store import TokenStore
from mcp_gateway.upstream.oauth.wire import AuthorizationWire, Declined

PERSON_WITHIN_S: Final = 300.0
"""How long a person has for the page of the login (our choice)."""

Show = Callable[[str], None]
"""Shows a person the address of the page."""


async def as_client(wire: AuthorizationWire, place: Place, settings: LoginSettings) -> Account:
    """Log in without a person. Raises UpstreamAuth, UpstreamUnavailable."""
    client = configured(settings, place.metadata)
    if client is None or client.secret is None:
        raise wire.unusable("is not asked: auth.client_credentials needs auth.client_id and auth.client_secret")
    try:
        tokens = await grant.by_client(wire, place, client, " ".join(settings.scopes) or place.scope)
    except Declined as declined:
        raise wire.unusable(f"does not accept the client of the configuration ({declined.error})") from None
    return _account(place, client, tokens, login=f"client {client.id}", configured=True)


async def in_browser(
    wire: AuthorizationWire,
    place: Place,
    settings: LoginSettings,
    store: TokenStore,
    show: Show,
    *,
    within_s: float = PERSON_WITHIN_S,
) -> Account:
    """Log in as a person. Raises UpstreamAuth, UpstreamUnavailable, PortBusy, CannotCreate, SecretKeyRefused."""
    check_pkce(wire, place)
    known = None if settings.client_id else await anyio.to_thread.run_sync(store.registration, place.issuer)
    state = secrets.token_urlsafe(32)
    async with _callback(state, settings.redirect_port, known) as callback:
        client = configured(settings, place.metadata) or await _registered(wire, place, store, known, callback)
        attempt = Attempt(wire, place, settings, client, callback.redirect_uri, state)
        try:
            show(attempt.page)
            account = await attempt.account(await _answer(wire, callback, within_s))
        except BaseException:
            with anyio.CancelScope(shield=True):  # the issuer may know the client no more: the next login registers one
                await anyio.to_thread.run_sync(store.forget_registration, place.issuer)
            raise
    return account


async def at_door(
    wire: AuthorizationWire, place: Place, settings: LoginSettings, store: TokenStore, redirect_uri: str
) -> Attempt:
    """A login that comes back to a door of the gateway's own. Raises as `in_browser` does."""
    check_pkce(wire, place)
    client = configured(settings, place.metadata)
    if client is None:
        known = await anyio.to_thread.run_sync(store.registration, place.issuer, redirect_uri)
        if known is None:
            known = await register(wire, place, redirect_uri, 0)
            await anyio.to_thread.run_sync(store.put_registration, place.issuer, known, redirect_uri)
        client = known.client
    return Attempt(wire, place, settings, client, redirect_uri, secrets.token_urlsafe(32))


def check_pkce(wire: AuthorizationWire, place: Place) -> None:
    """Raises UpstreamAuth where the issuer does not say that it protects codes."""
    if "S256" not in (place.metadata.code_challenge_methods_supported or ()):
        raise wire.unusable("does not say that it supports PKCE (S256), which the specification of MCP demands")


class Attempt:
    """One login on its way, at the page of its issuer; `state` tells its answer from others."""

    def __init__(
        self,
        wire: AuthorizationWire,
        place: Place,
        settings: LoginSettings,
        client: OAuthClient,
        redirect_uri: str,
        state: str,
    ) -> None:
        self.state = state
        self.redirect_uri = redirect_uri
        self.issuer = place.issuer
        self._wire = wire
        self._place = place
        self._settings = settings
        self._client = client
        self._pkce = PKCEParameters.generate()

    @property
    def page(self) -> str:
        """The address of the page where the person logs in (RFC 6749, section 4.1.1; RFC 7636; RFC 8707)."""
        fields = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "code_challenge": self._pkce.code_challenge,
            "code_challenge_method": "S256",
            "resource": self._place.resource,
        }
        if scope := _scope(self._place, self._settings):
            fields["scope"] = scope
            if "offline_access" in scope.split():
                fields["prompt"] = "consent"  # OpenID Connect Core, section 11: without it there is no refresh token
        endpoint = urlsplit(str(self._place.metadata.authorization_endpoint))
        return endpoint._replace(query=urlencode([*parse_qsl(endpoint.query), *fields.items()]), fragment="").geturl()

    async def account(self, answer: Answer) -> Account:
        """What the answer is good for. Raises UpstreamAuth, UpstreamUnavailable."""
        code = _code(self._wire, self._place, answer)
        tokens = await self._exchanged(code)
        configured = self._settings.client_id is not None
        return _account(self._place, self._client, tokens, login=secrets.token_hex(16), configured=configured)

    async def _exchanged(self, code: str) -> Tokens:
        verifier, redirect_uri = self._pkce.code_verifier, self.redirect_uri
        try:
            return await grant.by_code(
                self._wire, self._place, self._client, code=code, verifier=verifier, redirect_uri=redirect_uri
            )
        except Declined as declined:
            raise self._wire.unusable(f"gave no token for the login ({declined.error})") from None


@asynccontextmanager
async def _callback(state: str, port: int, known: Registration | None) -> AsyncIterator[Callback]:
    """Where a registered client said that it listens, when that port is free and nobody wants another one."""
    if port or known is None:
        async with listening(state, port) as callback:
            yield callback
        return
    async with AsyncExitStack() as stack:
        try:
            callback = await stack.enter_async_context(listening(state, known.redirect_port))
        except PortBusy:
            callback = await stack.enter_async_context(listening(state, 0))
        yield callback


async def _registered(
    wire: AuthorizationWire, place: Place, store: TokenStore, known: Registration | None, callback: Callback
) -> OAuthClient:
    """The client that registered itself for this callback, now or before."""
    if known is not None and known.redirect_port == callback.port:
        return known.client
    registration = await register(wire, place, callback.redirect_uri, callback.port)
    await anyio.to_thread.run_sync(store.put_registration, place.issuer, registration)
    return registration.client


def _scope(place: Place, settings: LoginSettings) -> str:
    """What is configured, else what the upstream asks for; `offline_access` where it is known (SEP-2207)."""
    scope = " ".join(settings.scopes) or place.scope or ""
    offline = "offline_access" in (place.metadata.scopes_supported or ()) and "offline_access" not in scope.split()
    return f"{scope} offline_access" if scope and offline else scope


async def _answer(wire: AuthorizationWire, callback: Callback, within_s: float) -> Answer:
    with anyio.move_on_after(within_s):
        return await callback.answer()
    raise UpstreamAuth(
        f"nobody logged in to upstream {wire.server!r} within {within_s:g} s; try again: {to_log_in(wire.server)}",
        server=wire.server,
    )


def _code(wire: AuthorizationWire, place: Place, answer: Answer) -> str:
    """The code of an answer that comes from the right issuer (RFC 9207, section 2.4), errors included."""
    issuer_is_due = place.metadata.authorization_response_iss_parameter_supported
    if answer.iss != place.issuer if answer.iss is not None else issuer_is_due:
        raise wire.unusable("is not the one that answered the login; nothing was sent to either")
    if answer.error is not None or answer.code is None:
        raise wire.unusable(f"refused the login ({answer.error or 'no code'})")
    return answer.code


def _account(place: Place, client: OAuthClient, tokens: Tokens, *, login: str, configured: bool) -> Account:
    return Account(
        login=login,
        resource=place.resource,
        issuer=place.issuer,
        token_endpoint=str(place.metadata.token_endpoint),
        client=replace(client, secret=None) if configured else client,
        tokens=tokens,
        obtained_at=time.time(),
    )
