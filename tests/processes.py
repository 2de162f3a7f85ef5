"""Which processes are alive, told by a mark in their environment.

Upstreams get a minimal environment, so a test puts the mark into the `env` of the
configured server; children of that server inherit it.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

MARK = "MCP_GATEWAY_TEST_MARK"
_POLL_S = 0.02


def new_mark() -> dict[str, str]:
    """An `env` no other process has."""
    return {MARK: uuid.uuid4().hex}


def alive(mark: dict[str, str]) -> list[str]:
    """The command lines of the processes that carry the mark; one that has ended but is not reaped does not count."""
    entry = f"{MARK}={mark[MARK]}".encode()
    return [_command_line(process) for process in Path("/proc").glob("[0-9]*") if entry in _read(process / "environ")]


def survivors(mark: dict[str, str], within_s: float) -> list[str]:
    """Wait until none is alive, at most `within_s`; those that still are."""
    deadline_monotonic_s = time.monotonic() + within_s
    while (left := alive(mark)) and time.monotonic() < deadline_monotonic_s:
        time.sleep(_POLL_S)  # /proc announces nothing: it can only be read again
    return left


def _command_line(process: Path) -> str:
    return f"{process.name}: {_read(process / 'cmdline').replace(bytes(1), b' ').decode(errors='replace')}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile, or belongs to another user
        return b""
