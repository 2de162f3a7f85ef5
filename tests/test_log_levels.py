"""Log levels of sessions: the mildest reaches the upstreams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import InvalidParams
from mcp_gateway.revisions import LATEST_LEGACY

from tests.interaction.asking import until
from tests.interaction.house import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


def client(key: str) -> Client:
    return Client(key, revision=LATEST_LEGACY, session=key)


@pytest.mark.parametrize("level", ["loud", "", "WARNING"])
async def test_an_unknown_log_level_is_refused(home: House, level: str) -> None:
    with pytest.raises(InvalidParams, match="debug, info"):
        await home.app.gateway.route(Call("logging/setLevel", {"level": level}, client("a")))


async def test_upstreams_are_told_the_mildest_level_of_those_who_are_there(home: House) -> None:
    gateway, first, second = home.app.gateway, client("a"), client("b")
    await gateway.route(Call("logging/setLevel", {"level": "error"}, first))
    await gateway.route(Call("logging/setLevel", {"level": "debug"}, second))
    gateway.release(second)

    await until(lambda: home.everything.levels[-1] == "error")
    assert home.everything.levels == ["error", "debug", "error"]
    assert (gateway.log_level(first), gateway.log_level(second)) == ("error", None)
