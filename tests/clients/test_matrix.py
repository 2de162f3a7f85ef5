"""Every real client over every door: lists, a call of each server, and nothing left behind.

HTTP+SSE is a door of the handshake era, so a client that insists on a modern
revision has no cell there, and one that probes has to fall back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.matrix import CLIENTS, LEGACY, RealClient
from tests.gateway import Gateway, stdio_command
from tests.processes import alive, new_mark, survivors
from tests.setup import node_server, python_server

GONE_S = 3.0
"""How long after a stdio client has ended the children of its gateway may take (protocol facts, section 7)."""

CALLS = {
    "everything__echo": {"message": "ring ring"},
    "time__convert_time": {"source_timezone": "Asia/Tokyo", "time": "09:30", "target_timezone": "Asia/Kolkata"},
}
EXPECTED = {"everything__echo": "Echo: ring ring", "time__convert_time": "-3.5h"}
INSISTING = ("modern", "2026-07-28")

pytestmark = pytest.mark.slow

every_client = pytest.mark.parametrize("client", CLIENTS, ids=str)
legacy_capable = pytest.mark.parametrize("client", [each for each in CLIENTS if each.mode not in INSISTING], ids=str)


def configuration(mark: dict[str, str]) -> dict[str, Any]:
    """Two servers of different eras: one in Python, one in TypeScript."""
    time, everything = python_server("mcp-server-time"), node_server("server-everything")
    servers = {
        "time": {"command": time[0], "args": ["--local-timezone", "UTC"], "env": mark},
        "everything": {"command": everything[0], "args": [*everything[1:], "stdio"], "env": mark},
    }
    return {"mcpServers": servers, "expose": {"mode": "all"}}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all clients over HTTP; when it has ended, so have its children."""
    mark = new_mark()
    with Gateway(tmp_path_factory.mktemp("gateway"), configuration(mark)) as running:
        running.wait_for_servers()
        assert len(alive(mark)) >= 2, "the mark must reach the children, or nothing is proven below"
        yield running
    assert survivors(mark, GONE_S) == []


@dataclass(frozen=True)
class UsedBefore:
    """Where a gateway has run and saved its catalog; `mark` is that of its children."""

    folder: Path
    mark: dict[str, str]

    @property
    def configuration(self) -> dict[str, Any]:
        return configuration(self.mark)


@pytest.fixture(scope="module")
def used_before(tmp_path_factory: pytest.TempPathFactory) -> UsedBefore:
    """A client over stdio starts a gateway and lists at once: only a saved catalog is complete on a busy machine."""
    before = UsedBefore(tmp_path_factory.mktemp("stdio"), new_mark())
    with Gateway(before.folder, before.configuration) as gateway:
        gateway.wait_for_servers()
        gateway.wait_for_saved_catalog()
    assert survivors(before.mark, GONE_S) == []
    return before


def check(report: dict[str, Any], protocol: str | None) -> None:
    """One cell: complete listings, the expected texts, the expected revision; None where the client does not tell."""
    assert {*CALLS, "time__get_current_time"} <= set(report["tools"])
    assert any(uri.startswith("demo://resource/static/document/") for uri in report["resources"])
    assert "everything__args-prompt" in report["prompts"]
    for tool, expected in EXPECTED.items():
        assert expected in report["results"][tool]["content"][0]["text"]
    assert report["protocol"] == protocol


@every_client
def test_client_over_streamable_http(client: RealClient, gateway: Gateway, tmp_path: Path) -> None:
    check(client.run(tmp_path, CALLS, "http", [gateway.url]), client.protocol)


@legacy_capable
def test_client_over_sse(client: RealClient, gateway: Gateway, tmp_path: Path) -> None:
    check(client.run(tmp_path, CALLS, "sse", [gateway.sse_url]), client.protocol and LEGACY)


@every_client
def test_client_over_stdio_leaves_nothing_behind(client: RealClient, used_before: UsedBefore, tmp_path: Path) -> None:
    report = client.run(tmp_path, CALLS, "stdio", stdio_command(used_before.folder, used_before.configuration))
    assert survivors(used_before.mark, GONE_S) == []
    check(report, client.protocol)
