"""URLs of upstreams, forbidden addresses, and the environment's proxies."""

from __future__ import annotations

import pytest
from mcp_gateway.errors import BadConfig
from mcp_gateway.upstream.dispatch.address import TlsSettings, is_forbidden, parse_url, proxy_for, tls_context

from tests.upstream.dispatch.https import http


@pytest.mark.parametrize(
    ("url", "authority", "host_port", "target"),
    [
        ("http://h", "h", "h:80", "/"),
        ("https://h/mcp?a=b", "h", "h:443", "/mcp?a=b"),
        ("http://H:8080/x", "h:8080", "h:8080", "/x"),
        ("http://[::1]:8080/x", "[::1]:8080", "[::1]:8080", "/x"),
        ("https://[::1]/x#fragment", "[::1]", "[::1]:443", "/x"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example", "xn--bcher-kva.example:443", "/"),
    ],
)
def test_a_url_is_taken_apart(url: str, authority: str, host_port: str, target: str) -> None:
    address = parse_url("s", url)
    assert (address.authority, address.host_port, address.target) == (authority, host_port, target)


@pytest.mark.parametrize(
    "url", ["", "h:80", "ftp://h/", "http://", "http://h:99999/", "http://h/a b", "http://h/\u00e4", "http://[::1"]
)
def test_a_url_that_cannot_be_used_is_refused_without_being_quoted(url: str) -> None:
    with pytest.raises(BadConfig) as refused:
        parse_url("s", url.replace("//", "//u:canary@"))
    assert "canary" not in refused.value.message


@pytest.mark.parametrize(
    ("host", "forbidden"),
    [
        ("169.254.169.254", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:169.254.169.254", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("::1", False),
        ("example.com", False),
    ],
)
def test_link_local_and_metadata_addresses_are_forbidden(host: str, forbidden: bool) -> None:
    assert is_forbidden(host) is forbidden


async def test_a_forbidden_address_is_never_connected_to() -> None:
    async with http("http://169.254.169.254/latest") as upstream:
        with pytest.raises(BadConfig, match="link-local"):
            await upstream.call("tools/call", {})


PROXIES = {"http_proxy": "http://p:1", "HTTPS_PROXY": "http://s:2"}


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("http://h/", {}, None),
        ("http://h/", PROXIES, "http://p:1"),
        ("https://h/", PROXIES, "http://s:2"),
        ("http://h/", {"HTTP_PROXY": "upper:1", "http_proxy": "lower:1"}, "http://lower:1"),
        ("http://localhost:1/", PROXIES, None),
        ("http://app.localhost/", PROXIES, None),
        ("http://127.0.0.2/", PROXIES, None),
        ("http://[::1]/", PROXIES, None),
        ("http://h/", {**PROXIES, "NO_PROXY": "*"}, None),
        ("http://a.h.org/", {**PROXIES, "NO_PROXY": "x, h.org"}, None),
        ("http://a.h.org/", {**PROXIES, "NO_PROXY": ".h.org"}, None),
        ("http://a.h.org/", {**PROXIES, "NO_PROXY": "*.H.org"}, None),
        ("http://ah.org/", {**PROXIES, "NO_PROXY": "h.org"}, "http://p:1"),
        ("http://h.org:81/", {**PROXIES, "NO_PROXY": "h.org:80"}, "http://p:1"),
        ("http://h.org:80/", {**PROXIES, "no_proxy": "h.org:80"}, None),
        ("http://h.org/", {**PROXIES, "no_proxy": "h.org:80"}, None),
        ("http://10.1.2.3/", {**PROXIES, "NO_PROXY": "10.0.0.0/8"}, None),
        ("http://11.1.2.3/", {**PROXIES, "NO_PROXY": "10.0.0.0/8"}, "http://p:1"),
        ("http://[fd00::1]/", {**PROXIES, "NO_PROXY": "fd00::/8"}, None),
        ("http://h/", {**PROXIES, "NO_PROXY": ""}, "http://p:1"),
    ],
)
def test_the_environment_names_a_proxy(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, environ) == proxy


def test_equal_tls_settings_share_one_context() -> None:
    assert tls_context(TlsSettings(verify=False)) is tls_context(TlsSettings(verify=False))
