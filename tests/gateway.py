"""A real gateway in a process of its own, for end-to-end tests.

A configuration goes in; a listening address comes out. Its state, its working
directory and its log stay below the folder it is given, so that gateways do not
see each other nor the person's own. Whatever ends the test ends the process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.lane import FAST_LANE

READY_S = 30
"""Longest start that a test waits for: a loaded machine of 2 cores, not a promise."""
STOP_S = 15
"""A drain of 10 s and 4 s for the children (design, decision 14), and a second to spare."""

_POLL_S = 0.05

_LISTENING = re.compile(r"listening on (http://\S+)/mcp")
_FOREIGN = re.compile(r"MCP_GATEWAY_|API_KEY$|BASE_URL$|OPENAI_|XDG_")

Configuration = Mapping[str, Any] | str
"""What `gateway.yaml` holds: plain data, or the text itself."""


def write_config(folder: Path, config: Configuration) -> Path:
    """Write `gateway.yaml` into the folder; plain data as JSON, which is YAML too."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gateway.yaml"
    if not FAST_LANE and not isinstance(config, str):
        config = {**config, "server": {"fast_lane": False, **config.get("server", {})}}
    path.write_text(config if isinstance(config, str) else json.dumps(config, indent=2), encoding="utf-8")
    return path


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """The environment of a gateway that knows nothing of the person running the tests."""
    kept = {name: value for name, value in os.environ.items() if not _FOREIGN.search(name)}
    return kept | {"MCP_GATEWAY_HOME": str(folder / "home")} | extra


def stdio_command(folder: Path, config: Configuration, *arguments: str) -> list[str]:
    """A command that serves over its own standard streams.

    For clients that start their server themselves, most of which hand on only a few
    variables: `env` sets the one that matters and becomes the gateway.
    """
    path = write_config(folder, config)
    home = f"MCP_GATEWAY_HOME={folder / 'home'}"
    return ["env", home, sys.executable, "-m", "mcp_gateway", "serve", "-c", str(path), "--stdio", *arguments]


class Gateway:
    """`mcp-gateway serve` on a free port, from entering to leaving.

    Leaving sends SIGTERM and asserts that the process exits cleanly in time. When
    the test failed, its log is added to the failure instead.
    """

    def __init__(
        self, folder: Path, config: Configuration, *arguments: str, env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.config = write_config(folder, config)
        self._command = [
            sys.executable,
            "-m",
            "mcp_gateway",
            "serve",
            "-c",
            str(self.config),
            "--port",
            "0",
            *arguments,
        ]
        self._env = environment(folder, **(env or {}))
        self._lines: list[str] = []
        self._ready = threading.Event()
        self._origin: str | None = None

    @property
    def origin(self) -> str:
        """`http://HOST:PORT`, without a slash at the end."""
        assert self._origin is not None, "not started"
        return self._origin

    @property
    def url(self) -> str:
        """The Streamable HTTP door."""
        return f"{self.origin}/mcp"

    @property
    def sse_url(self) -> str:
        """The legacy HTTP+SSE door."""
        return f"{self.origin}/sse"

    @property
    def log(self) -> str:
        """Everything on standard output and standard error so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    def get_json(self, path: str) -> Any:
        """GET one path of the gateway, `/api/v1/...` for instance."""
        with urllib.request.urlopen(f"{self.origin}{path}", timeout=READY_S) as response:
            return json.load(response)

    def wait_for_servers(self) -> None:
        """Wait until every configured server is ready.

        A listing does not wait for servers that start slowly, so a test that needs
        all of them in one listing asks for this first.
        """
        self._wait_until(lambda: all(server["state"] == "ready" for server in self._servers()))

    def wait_for_saved_catalog(self) -> None:
        """Wait until what every configured server offers is on disk for the next start."""
        names = {server["name"] for server in self._servers()}
        files = self.folder / "home" / "catalog"
        self._wait_until(
            lambda: any(names <= json.loads(file.read_bytes())["servers"].keys() for file in files.glob("*.json"))
        )

    def _servers(self) -> list[dict[str, Any]]:
        servers: list[dict[str, Any]] = self.get_json("/api/v1/servers")["servers"]
        return servers

    def _wait_until(self, reached: Callable[[], bool]) -> None:
        deadline_monotonic_s = time.monotonic() + READY_S
        while not reached():
            assert time.monotonic() < deadline_monotonic_s, f"not reached: {self._servers()}\n{self.log}"
            time.sleep(_POLL_S)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = STOP_S) -> int:
        """Wait for the process to end by itself; its exit status."""
        return self._process.wait(timeout_s)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name="gateway-log")
        self._reader.start()
        try:
            self._ready.wait(READY_S)
        except BaseException:  # whoever runs the tests has had enough
            self._end(signal.SIGKILL)
            raise
        if self._origin is None:
            self._end(signal.SIGKILL)
            raise AssertionError(f"the gateway did not start:\n{self.log}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = self._end(signal.SIGTERM)
        if error is not None:
            error.add_note(f"the gateway's log:\n{self.log}")
            return
        assert status == 0, f"the gateway ended with {status}:\n{self.log}"

    def _read(self) -> None:
        """Collect the log until the pipe closes; also the end of the process counts as an answer."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self._lines.append(line)
                if match := _LISTENING.search(line):
                    self._origin = match[1]
                    self._ready.set()
        self._ready.set()

    def _end(self, number: int) -> int | None:
        """Stop the process if it still runs; None when it had to be killed."""
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            status: int | None = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            status = None
        self._reader.join(STOP_S)
        return status
