"""Somebody is told when a server goes and when it is no longer missed."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.call import Client
from mcp_gateway.security.key_store import KEYS_FILE, KeyStore
from mcp_gateway.security.keys import ApiKey, hashed, new_key
from mcp_gateway.security.principal import Principal

from tests.builtin.providers.services import origin
from tests.fakes.everything import Everything
from tests.fakes.http_server import Request, Wire, scripted
from tests.fakes.login_server import guarded, login_server
from tests.gateway import write_config
from tests.interaction.asking import until
from tests.interaction.house import FEW_BUILTINS, gateway
from tests.interaction.requirements import shows
from tests.upstream.oauth.house import age, logged_in

GONE = {"url": "http://127.0.0.1:9/mcp", "type": "http", "restart": {"max": 1, "backoff": "0.05..0.05"}}


@shows("alerts")
async def test_a_webhook_hears_of_a_parked_server_and_of_its_end(tmp_path: Path) -> None:
    send, receive = anyio.create_memory_object_stream[Any](10)

    async def hook(request: Request, wire: Wire) -> None:
        await wire.whole(204, b"")
        send.send_nowait(request.json)

    async with scripted(hook) as receiver:
        observability = {"alerts": {"webhook": f"{origin(receiver)}/hook"}}
        config = {"mcpServers": {"gone": GONE}, "observability": observability}
        async with gateway(tmp_path, config) as (app, _):
            with anyio.fail_after(10):
                fired = await receive.receive()
                shown = app.status.of(Client("me"))["alerts"]
                write_config(tmp_path, {**config, "mcpServers": {}, "tools": FEW_BUILTINS})
                assert app.reloading.reload()
                resolved = await receive.receive()

    assert (fired["alert"], fired["state"], fired["server"]) == ("upstream_down", "firing", "gone")
    assert (resolved["alert"], resolved["state"], resolved["server"]) == ("upstream_down", "resolved", "gone")
    assert shown == [{"alert": "upstream_down", "server": "gone", "text": fired["text"]}]
    assert fired["gateway"] == "gateway.yaml"
    send.close()
    receive.close()


@shows("alerts")
@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
async def test_a_login_that_ends_without_a_way_to_renew_it_is_told_of_until_the_next_login(tmp_path: Path) -> None:
    state = tmp_path / "home"
    async with login_server() as issuer, guarded(issuer, Everything().server()) as server:
        issuer.refreshes = False
        await logged_in(state, server.url)
        age(state, server.url, 3000)
        entry = {"url": server.url, "auth": "oauth", "era": "legacy"}
        async with gateway(tmp_path, {"mcpServers": {"up": entry}}) as (app, _):
            await until(lambda: app.alerts.firing, 20)
            (told,) = app.status.of(Client("me"))["alerts"]
            await logged_in(state, server.url)
            await until(lambda: not app.alerts.firing, 20)

    assert (told["alert"], told["server"]) == ("login_expiring", "up")
    assert told["text"].endswith("it cannot be renewed: mcp-gateway login up")


@shows("alerts")
async def test_a_key_near_its_end_is_told_of_to_who_may_change_it(tmp_path: Path) -> None:
    ends = time.time() + 3600
    KeyStore(tmp_path / "home" / KEYS_FILE).add(ApiKey("ci", hashed(new_key()), expires_unix_s=ends))
    async with gateway(tmp_path, {"mcpServers": {}}) as (app, _):
        await until(lambda: app.alerts.firing, 20)
        told = app.status.of(Client("me"))["alerts"]
        hidden = app.status.of(Client("other", principal=Principal("key:other", frozenset({"read"}))))["alerts"]

    assert [(alert["alert"], alert["server"]) for alert in told] == [("key_expiring", None)]
    assert "the API key 'ci' ends at" in told[0]["text"]
    assert hidden == []
