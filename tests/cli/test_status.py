"""`status` tells what the catalog had to leave out: nothing is lost silently."""

from __future__ import annotations

from pathlib import Path

from tests.cli.command import run, tool_box
from tests.gateway import Gateway


def test_names_that_two_servers_want_are_told(tmp_path: Path) -> None:
    servers = {"one": tool_box("kinds"), "two": tool_box("kinds")}
    with Gateway(tmp_path, {"mcpServers": servers, "expose": {"prefix": "never"}}) as gateway:
        gateway.wait_for_servers()
        done = run(tmp_path, "status")

    assert done.status == 0, done.err
    lines = done.out.splitlines()
    start = next(number for number, line in enumerate(lines) if "problems with what servers offer" in line)
    assert any(line.startswith("  two: kinds: ") and line.endswith("(name_collision)") for line in lines[start:])
