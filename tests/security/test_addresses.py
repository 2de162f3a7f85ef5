"""Which addresses are this machine's own, and where nobody reads along."""

from __future__ import annotations

import pytest
from mcp_gateway.security.addresses import is_confidential, is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "box.localhost"])
def test_loopback_is_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "::", "192.0.2.1", "example.com", "localhost.example.com"])
def test_anything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("url", ["https://example.com/x", "https://127.0.0.1", "http://localhost:1/x", "http://[::1]/"])
def test_https_and_what_stays_on_this_machine_are_confidential(url: str) -> None:
    assert is_confidential(url)


@pytest.mark.parametrize("url", ["http://example.com", "http://localhost.example.com", "ftp://127.0.0.1", "/x", ""])
def test_nothing_else_is_confidential(url: str) -> None:
    assert not is_confidential(url)
