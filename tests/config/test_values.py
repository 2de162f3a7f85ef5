"""Values also come from programs: models may be made without a file."""

from __future__ import annotations

import pytest
from mcp_gateway.config import HttpServer, StdioServer
from mcp_gateway.config.parts import ExecuteTool
from mcp_gateway.config.servers import Restart
from pydantic import ValidationError


def test_plain_values_are_taken_as_they_are() -> None:
    server = StdioServer(name="a", command="x", lazy=True, timeout=5, restart=Restart(backoff=(1.0, 2.0)))

    assert (server.lazy, server.timeout, server.restart.backoff) == (True, 5.0, (1.0, 2.0))
    assert ExecuteTool(enabled=False).enabled is False


def test_a_number_is_no_boolean() -> None:
    with pytest.raises(ValidationError, match="is not true or false"):
        StdioServer.model_validate({"name": "a", "command": "x", "lazy": 5})


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http:///path", "h", "javascript:alert(1)", "http://h:x"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="is not a URL"):
        HttpServer(name="a", url=url)


@pytest.mark.parametrize("url", ["http://[::1]:8000/mcp", "HTTPS://h", "http://u:p@h:1/?q=1#f"])
def test_web_addresses_are_taken(url: str) -> None:
    assert HttpServer(name="a", url=url).url == url
