"""Other gateways that the same cases can be tried on, each in an environment of its own outside the repository."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.bench import Proxy
from tests.faults.speech import TOOL

READY_S = 30.0
STOP_S = 30.0
_POLL_S = 0.05
HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Peer:
    """`start` makes a proxy for the servers of a configuration; `name` is what it calls a server's tool."""

    start: Callable[[Path, Mapping[str, Mapping[str, Any]]], Proxy]
    name: Callable[[str], str]


class FastMcp:
    """`fastmcp run` of an `mcpServers` file: one proxy for all of them, each with the deadline of its case."""

    def __init__(self, folder: Path, servers: Mapping[str, Mapping[str, Any]]) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._file = folder / "mcp.json"
        self._file.write_text(json.dumps({"mcpServers": {name: _in_ms(entry) for name, entry in servers.items()}}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/mcp"

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        self._port = _free_port()
        program = _environment("fastmcp") / "bin/fastmcp"
        options = ["--transport", "http", "--port", str(self._port), "--no-banner"]
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [program, "run", str(self._file), *options],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "FASTMCP_CHECK_FOR_UPDATES": "off"},
        )
        try:
            self._until_listening()
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(signal.SIGTERM)

    def _until_listening(self) -> None:
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            assert self._process.poll() is None, "it ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(_POLL_S)
        raise AssertionError(f"it does not listen after {READY_S:g} s")

    def _end(self, number: int) -> None:
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _in_ms(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Its deadlines are milliseconds."""
    return {**entry, "timeout": round(entry["timeout"] * 1000)} if "timeout" in entry else dict(entry)


def _environment(name: str) -> Path:
    """Where `NAME.sh` has installed the peer, or installs it now."""
    done = subprocess.run([HERE / f"{name}.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


PEERS: Mapping[str, Peer] = {"fastmcp": Peer(FastMcp, lambda server: f"{server}_{TOOL}")}
