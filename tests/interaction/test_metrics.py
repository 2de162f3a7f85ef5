"""`/metrics` of a gateway in a process of its own."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mcp_gateway.security.keys import hashed, new_key

from tests.fakes import tool_box
from tests.gateway import READY_S, Gateway
from tests.interaction.requirements import shows
from tests.test_app import call

BOX = {"command": sys.executable, "args": [str(Path(tool_box.__file__))]}


def metrics(gateway: Gateway, **headers: str) -> tuple[str, str]:
    request = urllib.request.Request(f"{gateway.origin}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=READY_S) as response:
        return response.read().decode(), response.headers["content-type"]


@shows("metrics")
def test_calls_through_a_door_are_counted(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {"box": BOX}}) as gateway:
        gateway.wait_for_servers()
        call(gateway, "sysinfo")
        call(gateway, "box__no_such_tool")
        text, content_type = metrics(gateway)

    assert content_type.startswith("text/plain; version=")
    assert 'mcp_gateway_calls_total{method="tools/call",outcome="ok",server="-"} 1.0' in text
    assert 'mcp_gateway_calls_total{method="tools/call",outcome="unknown_name",server="-"} 1.0' in text
    assert 'mcp_gateway_upstream_state{server="box",state="ready"} 1.0' in text


@shows("metrics")
def test_a_key_for_a_part_gets_no_figures_of_the_whole(tmp_path: Path) -> None:
    whole, part = new_key(), new_key()
    keys = [
        {"name": "whole", "hash": hashed(whole), "scopes": ["read"]},
        {"name": "part", "hash": hashed(part), "servers": {"allow": ["a*"]}},
    ]
    with Gateway(tmp_path, {"mcpServers": {}, "auth": {"keys": keys}}) as gateway:
        text, _ = metrics(gateway, **{"X-API-Key": whole})
        with pytest.raises(urllib.error.HTTPError) as refused:
            metrics(gateway, **{"X-API-Key": part})

    assert "mcp_gateway_in_flight" in text
    assert refused.value.code == 403
    refused.value.close()


@shows("metrics")
def test_metrics_stand_behind_the_guard_and_can_be_switched_off(tmp_path: Path) -> None:
    with Gateway(tmp_path / "on", {"mcpServers": {}}) as gateway, pytest.raises(urllib.error.HTTPError) as refused:
        metrics(gateway, Host="evil.example")
    off = {"mcpServers": {}, "observability": {"metrics": False}}
    with Gateway(tmp_path / "off", off) as gateway, pytest.raises(urllib.error.HTTPError) as missing:
        metrics(gateway)

    assert (refused.value.code, missing.value.code) == (403, 404)
    refused.value.close()
    missing.value.close()
