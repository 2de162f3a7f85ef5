"""`serve`: which part is served, and how much of it is listed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.command import run
from tests.gateway import write_config

PROFILES = {
    "mcpServers": {},
    "tools": {"execute": {"enabled": False}},  # whether it is offered is known only after a while
    "profiles": {"work": {"tools": {"allow": ["sysinfo"]}}},
}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
LISTING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}) + "\n"


def listed(folder: Path, *arguments: str) -> list[str]:
    """What a client on standard input is shown."""
    write_config(folder, PROFILES)
    done = run(folder, "serve", "--stdio", *arguments, stdin=LISTING)
    assert done.status == 0, done.err
    return [tool["name"] for tool in done.body["result"]["tools"]]


def test_a_profile_is_served_over_standard_streams(tmp_path: Path) -> None:
    assert listed(tmp_path, "--profile", "work") == ["sysinfo"]


def test_a_flag_says_what_is_listed(tmp_path: Path) -> None:
    names = listed(tmp_path, "--profile", "work", "--expose", "search")
    assert names == ["search_tools", "describe_tools", "call_tool", "read_tool", "sysinfo"]


def test_an_unknown_profile_exits_with_78(tmp_path: Path) -> None:
    write_config(tmp_path, PROFILES)
    done = run(tmp_path, "serve", "--stdio", "--profile", "play", stdin=LISTING)

    assert (done.status, done.out) == (78, "")
    assert "gateway.yaml: profiles.play: there is no such profile; known: work" in done.err


def test_an_unknown_mode_exits_with_2(tmp_path: Path) -> None:
    write_config(tmp_path, PROFILES)
    assert run(tmp_path, "serve", "--expose", "some").status == 2
