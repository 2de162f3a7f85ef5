"""Quick commands are quick because of what they leave alone."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import command, run
from tests.gateway import environment, write_config

QUICK = (("--help",), ("--version",), ("validate",), ("schema",), ("serve", "--help"), ("call", "--help"))

HEAVY = ("mcp", "starlette", "uvicorn", "openai", "httpx2", "sqlitedict", "rich")

LIMIT_S = 0.6
"""Twice what is promised for a quiet machine (design, numbers to hold)."""

RUNS = 25
"""At most: a processor that others use at the same time makes a run look longer, never shorter."""


QUIET_S = 0.10
"""What importing pydantic took where the promise was measured; a machine that needs longer is as much slower."""


def slowness() -> float:
    """How many times longer this machine takes just now than the one of the promise; 1 at least."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import pydantic.main"], check=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(1.0, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / QUIET_S)


def imported(folder: Path, *arguments: str) -> set[str]:
    """The top-level modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command(*arguments)[1:]],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def processor_time_s(folder: Path, *arguments: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(folder, *arguments).status == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", QUICK, ids=" ".join)
def test_nothing_heavy_is_imported(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write_config(tmp_path, {"mcpServers": {"time": {"command": "mcp-server-time"}}})
    modules = imported(tmp_path, *arguments)

    assert "click" in modules
    assert modules.isdisjoint(HEAVY)


@pytest.mark.parametrize("arguments", QUICK[:4], ids=" ".join)
def test_the_processor_is_busy_for_a_moment_only(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    write_config(tmp_path, {"mcpServers": {"time": {"command": "mcp-server-time"}}})

    runs_s = (processor_time_s(tmp_path, *arguments) / slowness() for _ in range(RUNS))
    assert any(run_s < LIMIT_S for run_s in runs_s)


def test_help_does_not_even_read_the_configuration_room(tmp_path: Path) -> None:
    assert "pydantic" not in imported(tmp_path, "--help")
