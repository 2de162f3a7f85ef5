"""Who we are at an authorization server: the client of the configuration, or one that registers itself (RFC 7591).

Settings and a place enter, a client leaves.
"""

from __future__ import annotations

from typing import Final

from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthMetadata
from pydantic import AnyUrl, ValidationError

from mcp_gateway.upstream.oauth.account import LoginSettings, OAuthClient, Registration
from mcp_gateway.upstream.oauth.discovery import Place
from mcp_gateway.upstream.oauth.wire import AuthorizationWire, Declined

_METHODS: Final = ("client_secret_basic", "client_secret_post")
"""How we can use a secret, best first (RFC 6749, section 2.3.1)."""


def configured(settings: LoginSettings, metadata: OAuthMetadata) -> OAuthClient | None:
    """The client of the configuration; None when it names none."""
    if settings.client_id is None:
        return None
    if settings.client_secret is None:
        return OAuthClient(settings.client_id)
    supported = metadata.token_endpoint_auth_methods_supported or _METHODS
    method = next((method for method in _METHODS if method in supported), _METHODS[0])
    return OAuthClient(settings.client_id, settings.client_secret, method)


async def register(wire: AuthorizationWire, place: Place, redirect_uri: str, port: int) -> Registration:
    """Register a client for this callback. Raises UpstreamAuth, UpstreamUnavailable."""
    endpoint = place.metadata.registration_endpoint
    if endpoint is None:
        raise wire.unusable("registers no clients by itself; register one there and write its auth.client_id")
    wish = OAuthClientMetadata(
        client_name="mcp-gateway",
        redirect_uris=[AnyUrl(redirect_uri)],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",  # noqa: S106 - the name of a method, no secret
        application_type="native",
    )
    try:
        body = await wire.post_json(str(endpoint), wish.model_dump(mode="json", by_alias=True, exclude_none=True))
        given = OAuthClientInformationFull.model_validate_json(body)
    except Declined as declined:
        raise wire.unusable(f"registers no client for us ({declined.error}); write an auth.client_id") from None
    except ValidationError:
        raise wire.unusable("answered a registration with something else; write an auth.client_id") from None
    method = given.token_endpoint_auth_method or ("none" if given.client_secret is None else _METHODS[0])
    if method not in ("none", *_METHODS) or (method != "none" and given.client_secret is None):
        raise wire.unusable("registered a client that cannot be used; write an auth.client_id")
    return Registration(OAuthClient(given.client_id, given.client_secret, method), port)
