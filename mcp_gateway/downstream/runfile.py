"""The run file: how the command line finds the gateway that serves its configuration file.

One per configuration file, 0600 in the state folder, written once the gateway
listens and removed when it stops (design, decision 10).
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mcp_gateway.config import file_key
from mcp_gateway.security.private_file import write_private

ANSWERS_WITHIN_S = 0.5
"""Loopback takes a connection much sooner (our choice)."""


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that serves: its process, its address without a path, and the token of its command line."""

    pid: int
    url: str
    token: str


class RunFile:
    """The run file of one configuration file, by whichever way its folder is named."""

    def __init__(self, state: Path, config: Path) -> None:
        self.path = state / "run" / f"{file_key(config)}.json"

    def write(self, url: str) -> Running:
        """Announce this process, unless another one serves the file already: that one stays. Raises OSError."""
        running = Running(os.getpid(), url, secrets.token_urlsafe(32))
        if (other := self.read()) is not None and other.pid != running.pid and _listens(other.url):
            return running
        write_private(self.path, json.dumps(asdict(running)).encode(), durable=False)
        return running

    def read(self) -> Running | None:
        """The gateway that runs now, None when there is none; a file of a dead process counts as none."""
        try:
            running = Running(**json.loads(self.path.read_bytes()))
            os.kill(running.pid, 0)
        except PermissionError:
            return running
        except (OSError, ValueError, TypeError, RecursionError):
            return None
        return running

    def remove(self) -> None:
        """Withdraw our own announcement; another process's stays."""
        running = self.read()
        if running is not None and running.pid == os.getpid():
            self.path.unlink(missing_ok=True)


def _listens(url: str) -> bool:
    """Whether anybody answers at an address of this machine: process ids are used again."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), ANSWERS_WITHIN_S):
            return True
    except OSError:
        return False
