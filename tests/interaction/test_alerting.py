"""Somebody is told when a server goes and when it is no longer missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
from mcp_gateway.call import Client

from tests.builtin.providers.services import origin
from tests.fakes.http_server import Request, Wire, scripted
from tests.gateway import write_config
from tests.interaction.house import FEW_BUILTINS, gateway
from tests.interaction.requirements import shows

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
