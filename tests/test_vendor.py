"""Methods that no specification names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import UnknownMethod
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.wire import loads

from tests.interaction.house import House, house


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


def client(key: str) -> Client:
    return Client(key, revision=LATEST_LEGACY, session=key)


async def test_a_vendors_method_is_served_by_whoever_knows_it(home: House) -> None:
    for _ in range(2):
        assert loads(await home.app.gateway.route(Call("vendor/shout", {}, client("a"))))["shout"] == "HEY"
    with pytest.raises(UnknownMethod):
        await home.app.gateway.route(Call("vendor/whisper", {}, client("a")))
