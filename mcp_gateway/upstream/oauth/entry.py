"""One login from beginning to end, for whoever has a person at hand.

The way to an upstream enters, a stored `Account` leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from mcp_gateway.errors import GatewayError, UpstreamUnavailable
from mcp_gateway.security.principal import LOCAL
from mcp_gateway.upstream.dispatch.origin import Origin
from mcp_gateway.upstream.oauth.account import Account, LoginSettings
from mcp_gateway.upstream.oauth.discovery import Place, discover
from mcp_gateway.upstream.oauth.login import PERSON_WITHIN_S, Show, as_client, in_browser
from mcp_gateway.upstream.oauth.store import TokenStore
from mcp_gateway.upstream.oauth.turn import turn
from mcp_gateway.upstream.oauth.wire import AuthorizationWire

PROBE_WITHIN_S: Final = 10.0
TURN_WITHIN_S: Final = 60.0
"""Longest waits for the upstream's challenge, and for a process that renews a token (our choice, both)."""

_PING: Final = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


async def log_in(
    origin: Origin,
    url: str,
    settings: LoginSettings,
    folder: Path,
    environ: Mapping[str, str],
    show: Show,
    *,
    principal: str = LOCAL.id,
    within_s: float = PERSON_WITHIN_S,
) -> Account:
    """Log the principal in and store the login in the state folder.

    Raises:
        UpstreamAuth: the login was refused, or nobody came; or what the upstream names must not be used.
        UpstreamUnavailable: the upstream or its authorization server cannot be reached.
        PortBusy, CannotCreate, SecretKeyRefused, SecretDamaged
    """
    store = TokenStore(folder, environ, origin.server, url, principal)
    wire = AuthorizationWire(origin.server, url, environ, settings)
    place = await discover(wire, url, await challenge_of(origin), settings.issuer)
    account = await _account(wire, place, settings, store, show, within_s)
    await keep(store, account, origin.server)
    return account


async def keep(store: TokenStore, account: Account, server: str) -> None:
    """Store a new login, after whoever renews the one before. Raises UpstreamUnavailable, and as `put` does."""
    try:
        async with turn(store.lock_file, TURN_WITHIN_S):
            await anyio.to_thread.run_sync(store.put, account)
    except TimeoutError:
        raise UpstreamUnavailable(
            f"another process renews the token of upstream {server!r} and does not end", server=server
        ) from None


async def _account(
    wire: AuthorizationWire, place: Place, settings: LoginSettings, store: TokenStore, show: Show, within_s: float
) -> Account:
    if settings.client_credentials:
        return await as_client(wire, place, settings)
    return await in_browser(wire, place, settings, store, show, within_s=within_s)


async def challenge_of(origin: Origin) -> str | None:
    """What the upstream says to who has no token; None when it lets everybody in, or cannot be asked now."""
    try:
        with anyio.move_on_after(PROBE_WITHIN_S):
            return (await origin.send("POST", _PING)).challenge
    except GatewayError:
        pass  # the well-known places may answer all the same, and if not their failure says more
    finally:
        with anyio.CancelScope(shield=True):
            await origin.aclose()
    return None
