"""`mcp-gateway` without a command: a server for a pipe, one screen for a person."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

from tests.cli.command import ENDS_WITHIN_S, Done, command, run, tool_box
from tests.gateway import Gateway, environment, write_config

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


def at_a_terminal(folder: Path, *arguments: str) -> Done:
    """Run a command whose standard input is a terminal."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run(
            command(*arguments),
            cwd=folder,
            env=environment(folder, XDG_CONFIG_HOME=str(folder / "nothing")),
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_pipe_is_served(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}})
    done = run(tmp_path, stdin=json.dumps(INITIALIZE) + "\n")

    assert done.status == 0
    assert json.loads(done.out)["result"]["serverInfo"]["name"] == "mcp-gateway"


def test_an_empty_pipe_ends_at_once(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}})
    done = run(tmp_path)

    assert (done.status, done.out) == (0, "")


def test_a_pipe_without_a_configuration_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, stdin=json.dumps(INITIALIZE) + "\n", XDG_CONFIG_HOME=str(tmp_path / "nothing"))

    assert (done.status, done.out) == (66, "")


def test_a_person_without_a_configuration_sees_what_to_do(tmp_path: Path) -> None:
    done = at_a_terminal(tmp_path)

    assert done.status == 0
    assert done.out.splitlines() == [
        "no configuration file: write ./gateway.yaml, or name one with -c FILE",
        "Next: mcp-gateway validate · mcp-gateway serve · mcp-gateway list",
    ]


def test_a_person_sees_that_nothing_runs(tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}})
    done = at_a_terminal(tmp_path)

    assert done.status == 0
    assert "is running; start one with: mcp-gateway serve -c" in done.out


def test_a_person_sees_the_running_gateway(tmp_path: Path) -> None:
    with Gateway(tmp_path, {"mcpServers": {"box": tool_box("kinds")}}) as gateway:
        gateway.wait_for_servers()
        done = at_a_terminal(tmp_path)

    assert done.status == 0
    assert "● box  ready" in done.out
    assert done.out.splitlines()[-1].startswith("Next: ")
