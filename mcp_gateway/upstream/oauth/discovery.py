"""Where to log in for an upstream: its resource metadata (RFC 9728), then that of its authorization server (RFC 8414).

An upstream's address and its challenge enter, a `Place` leaves. The models and the order of the places to look at
are the SDK's. What belongs to another resource or to another issuer is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    issuers_match,
)
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from pydantic import ValidationError

from mcp_gateway.errors import GatewayError, UpstreamUnavailable
from mcp_gateway.upstream.oauth.challenge import bearer, wanted_scope
from mcp_gateway.upstream.oauth.wire import AuthorizationWire

_Model = TypeVar("_Model", OAuthMetadata, ProtectedResourceMetadata)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to log in. `resource` is what tokens are asked for (RFC 8707); `scope` what the upstream asks for."""

    resource: str
    issuer: str
    metadata: OAuthMetadata
    scope: str | None


async def discover(
    wire: AuthorizationWire, url: str, challenge: str | None, issuer: str | None = None, known: str | None = None
) -> Place:
    """Find the authorization server of the upstream at `url`.

    `issuer` is the one it has to be; `known` the one to take where the upstream names several.

    Raises:
        UpstreamUnavailable: something that may be there cannot be asked now.
        UpstreamAuth: there is nothing, or what is there must not be used.
    """
    resource = await _resource(wire, url, challenge)
    named = [urlsplit(url)._replace(path="", query="", fragment="").geturl()]
    if resource is not None:
        if not check_resource_allowed(resource_url_from_server_url(url), str(resource.resource)):
            raise wire.unusable("is not known: the upstream's metadata is that of another address")
        named = list(map(str, resource.authorization_servers))
    chosen = _chosen(wire, named, issuer, known)
    metadata = await _metadata(wire, chosen, url, legacy=resource is None)
    scope = wanted_scope(challenge)
    if scope is None and resource is not None and resource.scopes_supported:
        scope = " ".join(resource.scopes_supported)
    return Place(
        resource=resource_url_from_server_url(url) if resource is None else str(resource.resource),
        issuer=str(metadata.issuer),
        metadata=metadata,
        scope=scope,
    )


async def _resource(wire: AuthorizationWire, url: str, challenge: str | None) -> ProtectedResourceMetadata | None:
    """None when the upstream publishes nothing of the kind, as before 2025-06-18."""
    told = bearer(challenge).get("resource_metadata")
    if told is not None and not _same_origin(told, url):
        told = None  # an address elsewhere is not asked for: the well-known places are the upstream's own (R-SSRF-1)
    return await _first(wire, build_protected_resource_metadata_discovery_urls(told, url), ProtectedResourceMetadata)


async def _metadata(wire: AuthorizationWire, issuer: str, url: str, *, legacy: bool) -> OAuthMetadata:
    urls = build_oauth_authorization_server_metadata_discovery_urls(None if legacy else issuer, url)
    metadata = await _first(wire, urls, OAuthMetadata)
    if metadata is None:
        raise wire.unusable("publishes no metadata" if not legacy else "is not known: the upstream names none")
    if not issuers_match(str(metadata.issuer), issuer):
        raise wire.unusable("publishes the metadata of another issuer")
    return metadata


async def _first(wire: AuthorizationWire, urls: Iterable[str], model: type[_Model]) -> _Model | None:
    """The first document that is one. A place that cannot be asked counts only when no other one has it."""
    failure: GatewayError | None = None
    for url in dict.fromkeys(urls):
        try:
            body = await wire.document(url)
            if body is not None:
                return model.model_validate_json(body)
        except UpstreamUnavailable as failed:
            failure = failed
        except ValidationError:
            failure = wire.unusable("is not known: metadata that names it is malformed")
    if failure is not None:
        raise failure
    return None


def _chosen(wire: AuthorizationWire, named: list[str], issuer: str | None, known: str | None) -> str:
    if issuer is None:
        return next((name for name in named if known is not None and issuers_match(name, known)), named[0])
    found = next((name for name in named if issuers_match(name, issuer)), None)
    if found is None:
        raise wire.unusable("is another one than auth.issuer says")
    return found


def _same_origin(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)
