"""Methods that no specification names."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import UnknownMethod
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.wire import loads

from tests.fakes.everything import Everything, http_app
from tests.interaction.house import House, gateway, house, served


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


async def test_a_vendors_method_moves_on_when_its_server_is_gone(tmp_path: Path) -> None:
    async with served(http_app(Everything().server())) as one, served(http_app(Everything().server())) as other:
        servers: dict[str, dict[str, Any]] = {
            name: {"url": f"{far.origin}/mcp", "type": "http"} for name, far in (("one", one), ("other", other))
        }
        async with gateway(tmp_path, {"mcpServers": servers}) as (app, _):
            call = Call("vendor/shout", {}, client("a"))
            assert loads(await app.gateway.route(call))["shout"] == "HEY"
            servers["one"]["disabled"] = True
            app.config.path.write_text(json.dumps({"mcpServers": servers, "reload": {"watch": False}}))
            assert app.reloading.reload()
            assert loads(await app.gateway.route(call))["shout"] == "HEY"
