"""The three grants at a token endpoint, and who we say we are there.

What to exchange enters, tokens leave. Client secrets and tokens appear in no error.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

from mcp.shared.auth import OAuthToken
from pydantic import ValidationError

from mcp_gateway.upstream.oauth.account import Account, OAuthClient, Tokens, is_token
from mcp_gateway.upstream.oauth.discovery import Place
from mcp_gateway.upstream.oauth.wire import AuthorizationWire


async def by_code(
    wire: AuthorizationWire, place: Place, client: OAuthClient, *, code: str, verifier: str, redirect_uri: str
) -> Tokens:
    """RFC 6749, section 4.1.3, with the verifier of RFC 7636. Raises Declined, UpstreamUnavailable, UpstreamAuth."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
        "resource": place.resource,
    }
    return await _tokens(wire, str(place.metadata.token_endpoint), client, form)


async def by_client(wire: AuthorizationWire, place: Place, client: OAuthClient, scope: str | None) -> Tokens:
    """RFC 6749, section 4.4. Raises as `by_code` does."""
    form = {"grant_type": "client_credentials", "resource": place.resource}
    if scope:
        form["scope"] = scope
    return await _tokens(wire, str(place.metadata.token_endpoint), client, form)


async def by_refresh(wire: AuthorizationWire, account: Account, client: OAuthClient, refresh_token: str) -> Tokens:
    """RFC 6749, section 6, at the issuer that gave the refresh token. Raises as `by_code` does."""
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "resource": account.resource}
    return await _tokens(wire, account.token_endpoint, client, form)


async def _tokens(wire: AuthorizationWire, url: str, client: OAuthClient, form: Mapping[str, str]) -> Tokens:
    own, headers = _identity(client)
    body = await wire.post_form(url, {**form, **own}, headers)
    try:
        token = OAuthToken.model_validate_json(body)
    except ValidationError:
        raise wire.unusable("gave no token that can be used") from None
    if not is_token(token.access_token) or (token.expires_in is not None and token.expires_in < 0):
        raise wire.unusable("gave no token that can be used")
    return Tokens(token.access_token, token.refresh_token or None, token.expires_in, token.scope)


def _identity(client: OAuthClient) -> tuple[dict[str, str], dict[str, str]]:
    """Fields and headers that say who we are (RFC 6749, section 2.3.1)."""
    if client.secret is None or client.method == "none":
        return {"client_id": client.id}, {}
    if client.method == "client_secret_post":
        return {"client_id": client.id, "client_secret": client.secret}, {}
    pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
    return {}, {"authorization": f"Basic {b64encode(pair.encode()).decode()}"}
