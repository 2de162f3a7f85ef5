"""`sysinfo` tells much about a machine and nothing about whose it is."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import psutil
import pytest
from mcp_gateway.builtin import MCPFunctions
from mcp_gateway.builtin.sysinfo import PROCESSES_SHOWN, Section, sysinfo
from mcp_gateway.call import Call, Client
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.config.parts import SysinfoTool
from mcp_gateway.errors import InvalidParams
from mcp_gateway.wire import loads

HEALTH = {"version": "9", "servers": [{"name": "box", "state": "ready"}]}


async def asked(arguments: dict[str, Any], detail: str = "basic") -> dict[str, Any]:
    settings = SysinfoTool.model_validate({"detail": detail})
    functions = MCPFunctions([sysinfo], {"sysinfo": settings}, lambda call: HEALTH)
    call = Call("tools/call", {"name": "sysinfo", "arguments": arguments}, Client(key="test"))
    call.route = Route(Kind.TOOL, None, "sysinfo", "sysinfo")
    result: dict[str, Any] = loads(await functions.call(call))
    jsonschema.validate(result["structuredContent"], functions.definitions[0]["outputSchema"])
    sections: dict[str, Any] = result["structuredContent"]["sections"]
    return sections


async def test_all_sections_come_when_none_is_named() -> None:
    assert list(await asked({})) == list(Section)


async def test_only_what_was_asked_for_comes_once_and_in_order() -> None:
    assert list(await asked({"sections": ["memory", "system", "memory"]})) == ["memory", "system"]


async def test_an_unknown_section_is_refused() -> None:
    with pytest.raises(InvalidParams, match=r"sysinfo: sections\.0: Input should be 'system', 'cpu'"):
        await asked({"sections": ["everything"]})


async def test_the_gateway_tells_its_own_health() -> None:
    assert (await asked({"sections": ["gateway"]}))["gateway"] == HEALTH


async def test_numbers_are_plausible() -> None:
    sections = await asked({})

    assert 0 < sections["memory"]["available"] <= sections["memory"]["total"]
    assert 0 < sections["disk"]["used"] <= sections["disk"]["total"]
    assert 0 < sections["process"]["rss"] < sections["memory"]["total"]
    assert sections["cpu"]["logical"] == os.cpu_count()
    assert set(sections["container"]) == {"memory_limit", "cpu_limit", "pids_limit"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", sections["system"]["utc"])


async def test_nothing_identifies_the_machine_or_its_people() -> None:
    text = json.dumps(await asked({}))
    addresses = {
        address.address
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if len(address.address) > 3
    }
    names = {platform.node(), socket.gethostname(), getpass.getuser(), str(Path.home()), str(Path.cwd())}

    assert not [found for found in addresses | names if found and f'"{found}' in text]
    assert "/" not in text.replace(f'"{platform.release()}"', "")


async def test_the_environment_stays_out(tmp_path: Path) -> None:
    text = json.dumps(await asked({}, "full"))

    assert os.environ["PATH"] not in text


async def test_full_detail_adds_host_users_mounts_and_processes() -> None:
    sections = await asked({}, "full")

    assert sections["system"]["host"] == platform.node()
    assert isinstance(sections["system"]["users"], list)
    assert all(set(mount) == {"path", "type"} for mount in sections["disk"]["mounts"])
    assert 0 < len(sections["process"]["largest"]) <= PROCESSES_SHOWN
    sizes = [process["rss"] for process in sections["process"]["largest"]]
    assert sizes == sorted(sizes, reverse=True)
    assert all(set(process) == {"pid", "name", "rss"} for process in sections["process"]["largest"])
