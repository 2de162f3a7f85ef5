"""Where to log in, and whom not to ask: what an upstream names may be anything."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp_gateway.errors import UpstreamAuth, UpstreamUnavailable
from mcp_gateway.upstream.oauth.account import LoginSettings
from mcp_gateway.upstream.oauth.discovery import Place, discover
from mcp_gateway.upstream.oauth.wire import AuthorizationWire

from tests.fakes.http_server import Request, ScriptedServer, Wire, scripted

PRM = "/.well-known/oauth-protected-resource"
ASM = "/.well-known/oauth-authorization-server"
OIDC = "/.well-known/openid-configuration"


@asynccontextmanager
async def publishing(documents: dict[str, Any]) -> AsyncIterator[ScriptedServer]:
    """A server of documents by path; `{origin}` in them is its own, a number is a status."""

    async def script(request: Request, wire: Wire) -> None:
        found = documents.get(request.target, 404)
        if isinstance(found, int):
            await wire.whole(found, b"", location="/elsewhere")
        else:
            text = json.dumps(found).replace("{origin}", f"http://127.0.0.1:{server.port}")
            await wire.whole(200, text.encode(), content_type="application/json")

    async with scripted(script) as server:
        yield server


def resource(path: str = "/mcp", issuer: str = "{origin}", **more: Any) -> dict[str, Any]:
    return {"resource": "{origin}" + path, "authorization_servers": [issuer], **more}


def issuer(name: str = "{origin}", **more: Any) -> dict[str, Any]:
    return {"issuer": name, "authorization_endpoint": f"{name}/authorize", "token_endpoint": f"{name}/token", **more}


async def found(server: ScriptedServer, challenge: str | None = None, **more: Any) -> Place:
    return await discover(AuthorizationWire("up", server.url, {}), server.url, challenge, **more)


@pytest.mark.parametrize(
    ("documents", "asked"),
    [
        ({f"{PRM}/mcp": resource(), ASM: issuer()}, [f"{PRM}/mcp", ASM]),
        ({PRM: resource("/"), OIDC: issuer()}, [f"{PRM}/mcp", PRM, ASM, OIDC]),
        (
            {PRM: resource("", "{origin}/realm"), "/realm" + OIDC: issuer("{origin}/realm")},
            [f"{PRM}/mcp", PRM, f"{ASM}/realm", f"{OIDC}/realm", "/realm" + OIDC],
        ),
        ({f"{PRM}/mcp": 302, PRM: resource(), ASM: issuer()}, [f"{PRM}/mcp", PRM, ASM]),
        ({f"{PRM}/mcp": {"resource": 1}, PRM: resource(), ASM: issuer()}, [f"{PRM}/mcp", PRM, ASM]),
        ({ASM: issuer()}, [f"{PRM}/mcp", PRM, ASM]),
    ],
    ids=["both at once", "root and OpenID", "a realm", "past a redirect", "past nonsense", "as before 2025-06-18"],
)
async def test_the_well_known_places_are_asked_in_order(documents: dict[str, Any], asked: list[str]) -> None:
    async with publishing(documents) as server:
        place = await found(server)
    assert [request.target for request in server.requests] == asked
    assert place.issuer.startswith(f"http://127.0.0.1:{server.port}")
    assert place.resource.startswith(f"http://127.0.0.1:{server.port}")


async def test_the_place_that_the_challenge_names_comes_first() -> None:
    async with publishing({"/meta": resource(), ASM: issuer()}) as server:
        place = await found(server, f'Bearer resource_metadata="http://127.0.0.1:{server.port}/meta", scope="a b"')
    assert server.requests[0].target == "/meta"
    assert place.scope == "a b"


@pytest.mark.parametrize("reads", [None, ["a", "b"]])
async def test_the_scope_is_what_the_upstream_lists_else_left_out(reads: list[str] | None) -> None:
    """Never all that the issuer knows (2025-11-25, basic/authorization, "Scope Selection Strategy")."""
    known = {f"{PRM}/mcp": resource(scopes_supported=reads), ASM: issuer(scopes_supported=["admin"])}
    async with publishing(known) as server:
        assert (await found(server)).scope == (None if reads is None else "a b")


async def test_an_address_elsewhere_is_not_asked_for_metadata() -> None:
    """R-SSRF-1."""
    async with (
        publishing({f"{PRM}/mcp": resource(), ASM: issuer()}) as server,
        publishing({"/meta": resource()}) as canary,
    ):
        await found(server, f'Bearer resource_metadata="http://127.0.0.1:{canary.port}/meta"')
    assert canary.connections == 0


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ({}, "is not known: the upstream names none"),
        ({f"{PRM}/mcp": resource()}, "publishes no metadata"),
        ({f"{PRM}/mcp": resource("/other"), ASM: issuer()}, "metadata is that of another address"),
        ({f"{PRM}/mcp": {**resource(), "resource": "https://bank.example/mcp"}, ASM: issuer()}, "of another address"),
        ({f"{PRM}/mcp": resource(), ASM: issuer("https://other.example")}, "the metadata of another issuer"),
        ({ASM: issuer("https://other.example")}, "the metadata of another issuer"),
        ({f"{PRM}/mcp": resource(issuer="http://plain.example")}, "an address that is not https"),
        ({f"{PRM}/mcp": resource(), ASM: [1]}, "metadata that names it is malformed"),
    ],
)
async def test_what_must_not_be_used_is_refused(documents: dict[str, Any], message: str) -> None:
    async with publishing(documents) as server:
        with pytest.raises(UpstreamAuth, match=message):
            await found(server)


async def test_an_issuer_that_is_out_of_order_is_no_verdict() -> None:
    async with publishing({f"{PRM}/mcp": resource(), ASM: 503, OIDC: 404}) as server:
        with pytest.raises(UpstreamUnavailable, match="answered with HTTP 503"):
            await found(server)


async def test_of_several_issuers_the_known_one_is_taken_and_only_the_configured_one() -> None:
    both = {**resource(), "authorization_servers": ["https://other.example", "{origin}"]}
    async with publishing({f"{PRM}/mcp": both, ASM: issuer()}) as server:
        own = f"http://127.0.0.1:{server.port}"
        assert (await found(server, known=own)).issuer == own
        assert (await found(server, issuer=own)).issuer == own
        with pytest.raises(UpstreamAuth, match=r"is another one than auth\.issuer says"):
            await found(server, issuer="https://third.example")


# -- where a server elsewhere may send us ------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_server_elsewhere_cannot_have_this_machine_asked(scheme: str) -> None:
    async with publishing({}) as canary:
        wire = AuthorizationWire("up", "https://up.example/mcp", {})
        with pytest.raises(UpstreamAuth, match="not https, or this machine's"):
            await wire.document(f"{scheme}://127.0.0.1:{canary.port}/")
    assert canary.connections == 0


UP, INSIDE, LISTED = (
    "https://up.example/mcp",
    "https://sso.inside.example/",
    LoginSettings(private_networks=("10.0.0.0/8",)),
)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.1", "100.64.0.1", "fd12::1", "::ffff:10.1.2.3"])
async def test_r_ssrf_1_nor_a_private_network_by_address_or_by_name(address: str) -> None:
    """R-SSRF-1."""

    async def resolve(host: str, port: int) -> list[str]:
        return [address]

    wire = AuthorizationWire("up", UP, {}, resolve=resolve)
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(UpstreamAuth, match=r"has a private address; .*security\.private_networks"):
        await wire.document(f"https://{host}/")
    with pytest.raises(UpstreamUnavailable, match=r"its address is private; .*security\.private_networks"):
        await wire.document(INSIDE)


@pytest.mark.parametrize(
    ("upstream", "settings", "url", "asked"),
    [
        (UP, LISTED, INSIDE, True),
        (UP, LoginSettings(private_networks=("192.168.0.0/16",)), INSIDE, False),
        (UP, LoginSettings(issuer="https://sso.inside.example"), INSIDE, True),
        (UP, LoginSettings(), "https://up.example/authorize", True),
        ("https://10.9.9.9/mcp", LoginSettings(), INSIDE, True),
        ("http://127.0.0.1/mcp", LoginSettings(), INSIDE, True),
    ],
)
async def test_unless_the_network_is_listed_or_the_operator_named_the_host(
    upstream: str, settings: LoginSettings, url: str, asked: bool
) -> None:
    dialled: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        dialled.append(host)
        return ["10.0.0.0"]  # nobody answers there

    wire = AuthorizationWire("up", upstream, {}, settings, resolve=resolve, timeout_s=0.2)
    with pytest.raises(UpstreamUnavailable) as failed:
        await wire.document(url)

    assert len(dialled) == 1
    assert ("its address is private" not in str(failed.value)) is asked


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254"])
async def test_nor_by_a_name_that_leads_there(address: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["9.9.9.9", address]  # public; nothing is dialled

    async with publishing({}) as canary:
        wire = AuthorizationWire("up", "https://up.example/mcp", {}, resolve=resolve)
        with pytest.raises(UpstreamUnavailable, match=r"is this machine's own|never called"):
            await wire.document(f"https://rebound.example:{canary.port}/")
    assert canary.connections == 0
