"""Values also come from programs: models may be made without a file."""

from __future__ import annotations

import pytest
from mcp_gateway.config import HttpServer, StdioServer
from mcp_gateway.config.parts import ExecuteContainer, ExecuteTool, Security
from mcp_gateway.config.servers import Restart
from pydantic import ValidationError

DIGEST = "0123456789abcdef" * 4


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


@pytest.mark.parametrize("image", ["python:3.12", "python@sha256:abc", "sha256:", f"-x@sha256:{DIGEST}", ""])
def test_an_image_that_may_change_is_refused(image: str) -> None:
    with pytest.raises(ValidationError, match="is no image by its digest; write name@sha256:"):
        ExecuteContainer.model_validate({"image": image})


@pytest.mark.parametrize("image", [f"sha256:{DIGEST}", f"registry.example/library/python@sha256:{DIGEST}"])
def test_an_image_by_its_digest_is_taken(image: str) -> None:
    assert ExecuteContainer.model_validate({"image": image}).image == image


@pytest.mark.parametrize("engine", ["lxc", "bin/podman", ""])
def test_an_engine_is_a_known_name_or_an_absolute_path(engine: str) -> None:
    with pytest.raises(ValidationError, match="is not auto, docker, podman or an absolute path"):
        ExecuteContainer.model_validate({"engine": engine})


@pytest.mark.parametrize("written", ["10.0.0.0/8", "10.1.2.3", "fd00::/8", "10.1.2.3/8"])
def test_networks_are_taken(written: str) -> None:
    assert Security(private_networks=(written,)).private_networks == (written,)


@pytest.mark.parametrize("written", ["", "localhost", "10.0.0.0/99", "10.0.0"])
def test_what_is_no_network_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="not an address or a network"):
        Security(private_networks=(written,))
