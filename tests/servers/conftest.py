"""One fleet and one gateway in front of it, for every test of the real servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gateway import Gateway
from tests.servers.fleet import Fleet, Meeting, fleet


@pytest.fixture(scope="session")
def real_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet(tmp_path_factory.mktemp("fleet")) as servers:
        yield servers


@pytest.fixture(scope="session")
def gateway(real_servers: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = {"mcpServers": real_servers.servers, "expose": {"mode": "all"}}
    with Gateway(tmp_path_factory.mktemp("gateway"), config) as running:
        running.wait_for_servers()
        yield running


@pytest.fixture(params=["direct-legacy", "direct-auto", "gateway-legacy", "gateway-auto"])
def meeting(request: pytest.FixtureRequest, real_servers: Fleet) -> Meeting:
    """Each check runs four times: straight at the server, which proves that it can pass, and through the gateway."""
    via, era = request.param.split("-")
    gateway_url = request.getfixturevalue("gateway").url if via == "gateway" else None
    return Meeting(real_servers, gateway_url, era)
