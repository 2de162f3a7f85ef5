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
    if "S256" not in (place.metadata.code_challenge_methods_supported or ()):
        raise wire.unusable("does not say that it supports PKCE (S256), which the specification of MCP demands")
    known = None if settings.client_id else await anyio.to_thread.run_sync(store.registration, place.issuer)
    state, pkce = secrets.token_urlsafe(32), PKCEParameters.generate()
    async with _callback(state, settings.redirect_port, known) as callback:
        client = configured(settings, place.metadata) or await _registered(wire, place, store, known, callback)
        try:
            show(_page(place, client, settings, callback.redirect_uri, state, pkce.code_challenge))
            code = _code(wire, place, await _answer(wire, callback, within_s))
            tokens = await _exchanged(wire, place, client, code, pkce.code_verifier, callback.redirect_uri)
        except BaseException:
            with anyio.CancelScope(shield=True):  # the issuer may know the client no more: the next login registers one
                await anyio.to_thread.run_sync(store.forget_registration, place.issuer)
            raise
    return _account(place, client, tokens, login=secrets.token_hex(16), configured=settings.client_id is not None)


async def _exchanged(
    wire: AuthorizationWire, place: Place, client: OAuthClient, code: str, verifier: str, redirect_uri: str
) -> Tokens:
    try:
        return await grant.by_code(wire, place, client, code=code, verifier=verifier, redirect_uri=redirect_uri)
    except Declined as declined:
        raise wire.unusable(f"gave no token for the login ({declined.error})") from None


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


def _page(
    place: Place, client: OAuthClient, settings: LoginSettings, redirect_uri: str, state: str, challenge: str
) -> str:
    """The address of the page where the person logs in (RFC 6749, section 4.1.1; RFC 7636; RFC 8707)."""
    fields = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "resource": place.resource,
    }
    if scope := _scope(place, settings):
        fields["scope"] = scope
        if "offline_access" in scope.split():
            fields["prompt"] = "consent"  # OpenID Connect Core, section 11: without it there is no refresh token
    endpoint = urlsplit(str(place.metadata.authorization_endpoint))
    return endpoint._replace(query=urlencode([*parse_qsl(endpoint.query), *fields.items()]), fragment="").geturl()


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
