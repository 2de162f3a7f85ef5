"""HTTPS and proxies: who is trusted, who is told what, and that tunnels carry calls."""

from __future__ import annotations

import ssl

import pytest
from mcp_gateway.errors import BadConfig, UpstreamDisconnected, UpstreamUnavailable
from mcp_gateway.upstream.dispatch.address import TlsSettings

from tests.fakes.certificates import Authority, Pair
from tests.fakes.http_proxy import proxying
from tests.fakes.http_server import scripted
from tests.upstream.dispatch.https import MODERN, echo, http
from tests.upstream.dispatch.pipes import Remembering, ask
from tests.upstream.dispatch.sdk_servers import Probe, mcp_server, serving
from tests.upstream.dispatch.test_http import streaming
from tests.upstream.dispatch.test_http_sdk import call_tool, ready


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server_pair(authority: Authority) -> Pair:
    return authority.issue("server")


def server_context(pair: Pair, clients_of: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if clients_of is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients_of.ca.cert)
    return context


async def test_calls_and_streams_work_over_tls(authority: Authority, server_pair: Pair) -> None:
    tls = TlsSettings(ca=authority.ca.cert)
    sink = Remembering(token=1)
    async with scripted(streaming, server_context(server_pair)) as server, http(server.url, tls=tls) as upstream:
        for _ in range(3):
            assert await ask(upstream, "tools/call", {}, sink=sink) == {"ok": True}
        assert server.connections == 1
    assert len(sink.heard) == 6


@pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
async def test_a_real_server_is_called_over_tls(authority: Authority, server_pair: Pair, revision: str) -> None:
    app = mcp_server(Probe()).streamable_http_app()
    tls = TlsSettings(ca=authority.ca.cert)
    files = {"ssl_certfile": server_pair.cert, "ssl_keyfile": server_pair.key}
    async with serving(app, **files) as url, http(f"{url}/mcp", tls=tls) as upstream:
        await ready(upstream, revision)
        assert await call_tool(upstream, "echo", "over tls") == "over tls"


async def test_an_unknown_authority_is_not_trusted(server_pair: Pair) -> None:
    async with scripted(echo, server_context(server_pair)) as server, http(server.url) as upstream:
        with pytest.raises(UpstreamUnavailable, match="certificate is not accepted"):
            await upstream.call("tools/call", {})
        assert server.requests == []


async def test_verification_can_be_switched_off(server_pair: Pair) -> None:
    tls = TlsSettings(verify=False)
    async with scripted(echo, server_context(server_pair)) as server, http(server.url, tls=tls) as upstream:
        assert await ask(upstream, "tools/call", {}) == {"echo": {}}


async def test_a_client_certificate_is_shown(authority: Authority, server_pair: Pair) -> None:
    client = authority.issue("client")
    tls = TlsSettings(ca=authority.ca.cert, cert=client.cert, key=client.key)
    context = server_context(server_pair, clients_of=authority)
    async with scripted(echo, context) as server, http(server.url, tls=tls) as upstream:
        assert await ask(upstream, "tools/call", {}) == {"echo": {}}


async def test_a_missing_client_certificate_is_an_error_at_once(authority: Authority, server_pair: Pair) -> None:
    tls = TlsSettings(ca=authority.ca.cert)
    context = server_context(server_pair, clients_of=authority)
    async with scripted(echo, context) as server, http(server.url, tls=tls) as upstream:
        with pytest.raises((UpstreamUnavailable, UpstreamDisconnected)):
            await upstream.call("tools/call", {})


async def test_plain_http_behind_an_https_url_is_unavailable() -> None:
    app = mcp_server(Probe()).streamable_http_app()
    async with serving(app) as url, http(url.replace("http", "https", 1)) as upstream:
        with pytest.raises(UpstreamUnavailable, match="TLS failed"):
            await upstream.call("tools/call", {})


@pytest.mark.parametrize("settings", [TlsSettings(ca="/canary"), TlsSettings(cert="/canary", key="/canary")])
async def test_tls_files_that_cannot_be_read_are_bad_configuration(settings: TlsSettings) -> None:
    async with http("https://127.0.0.1:9/mcp", tls=settings) as upstream:
        with pytest.raises(BadConfig) as failed:
            await upstream.call("tools/call", {})
    assert "canary" not in failed.value.message


async def test_https_goes_through_a_tunnel(authority: Authority, server_pair: Pair) -> None:
    tls = TlsSettings(ca=authority.ca.cert)
    async with scripted(echo, server_context(server_pair)) as server, proxying() as proxy:
        through = proxy.url.replace("//", "//me:secret@")
        async with http(server.url, tls=tls, proxy=through) as upstream:
            for _ in range(3):
                assert await ask(upstream, "tools/call", {}) == {"echo": {}}
        assert server.requests[0].header("proxy-authorization") is None
    assert len(proxy.heads) == 1
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
    assert "proxy-authorization: Basic bWU6c2VjcmV0\r\n" in proxy.heads[0]
    assert "mcp" not in proxy.heads[0]


async def test_http_goes_through_a_proxy_in_absolute_form() -> None:
    async with (
        scripted(echo) as server,
        proxying() as proxy,
        http(server.url, proxy=proxy.url.replace("//", "//me:secret@")) as upstream,
    ):
        assert await ask(upstream, "tools/call", {}) == {"echo": {}}
    assert proxy.heads[0].startswith(f"POST {server.url} HTTP/1.1\r\n")
    assert "proxy-authorization: Basic bWU6c2VjcmV0\r\n" in proxy.heads[0]


async def test_a_proxy_that_refuses_the_tunnel_makes_the_upstream_unavailable() -> None:
    async with proxying(status=407) as proxy, http("https://upstream.invalid/mcp", proxy=proxy.url) as upstream:
        with pytest.raises(UpstreamUnavailable, match="HTTP 407"):
            await upstream.call("tools/call", {})


async def test_a_proxy_that_is_not_one_makes_the_upstream_unavailable() -> None:
    async with scripted(echo) as server, http("https://upstream.invalid/mcp", proxy=server.url) as upstream:
        with pytest.raises(UpstreamUnavailable):
            await upstream.call("tools/call", {})


def test_a_proxy_of_another_kind_is_bad_configuration() -> None:
    with pytest.raises(BadConfig, match="proxy"):
        http("https://127.0.0.1/mcp", proxy="socks5://127.0.0.1:1")
