"""Where a gateway listens, and where it does not."""

from __future__ import annotations

import pytest
from mcp_gateway.downstream.server import Transport, address, bind
from mcp_gateway.errors import BadConfig, PortBusy


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_loopback_is_served(host: str) -> None:
    with bind(host, 0) as listener:
        assert address(listener, Transport()).startswith("http://")
        assert address(listener, Transport("cert.pem")).startswith("https://")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_anything_else_is_refused(host: str) -> None:
    with pytest.raises(BadConfig):
        bind(host, 0)


def test_a_busy_port_is_told() -> None:
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortBusy, match=f"127.0.0.1:{port}"):
            bind("127.0.0.1", port)
