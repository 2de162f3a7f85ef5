"""The far ends of a bench: one upstream for each case and a healthy sibling, broken and healed by name."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.cases import Case
from tests.faults.http_door import HOST
from tests.faults.speech import HEALTHY, Control
from tests.processes import new_mark, survivors

ROOT = Path(__file__).parents[2]
GOOD = "good"
"""The sibling."""

_PYTHON = [sys.executable, "-S", "-m"]


class Far:
    """Entered, the HTTP upstreams listen; the others are started by whoever reads `servers`."""

    def __init__(self, folder: Path, cases: Iterable[Case]) -> None:
        self._folder = folder
        self._cases = tuple(cases)
        self._mark = new_mark()
        self._controls = {case.name: self._control(case) for case in self._cases}
        self._good = self._folder_of("stdio", GOOD)
        for case in self._cases:
            if case.from_start:
                self.break_it(case)

    def __enter__(self) -> Self:
        self._refused_port = _free_port()
        modes = [case.mode for case in self._cases if case.transport == "http"]
        (self._folder / "http").mkdir(exist_ok=True)
        command = [*_PYTHON, "tests.faults.http_upstream", str(self._folder / "http"), str(self._refused_port), *modes]
        self._http = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        assert self._http.stdout is not None
        self._port = int(self._http.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.kill()
        self._http.communicate()

    def servers(self) -> dict[str, dict[str, Any]]:
        """The `mcpServers` of a configuration: how to reach each of them, and a deadline where a case has its own."""
        entries = {case.name: {**self._entry(case), "timeout": case.timeout_s} for case in self._cases}
        return {GOOD: self._stdio(self._good, HEALTHY), **entries}

    def break_it(self, case: Case) -> None:
        self._controls[case.name].break_it()

    def heal(self, case: Case) -> None:
        self._controls[case.name].heal()

    def calls(self, case: Case) -> Mapping[str, int]:
        """How often the upstream got each ticket."""
        received = self._controls[case.name].received()
        calls = (message["params"] for message in received if message.get("method") == "tools/call")
        return Counter(params.get("arguments", {}).get("ticket", "") for params in calls)

    def left(self, within_s: float) -> list[str]:
        """The processes that are still there after so long: children, and theirs."""
        return survivors(self._mark, within_s)

    def _control(self, case: Case) -> Control:
        return Control(self._folder_of(case.transport, case.mode), case.mode)

    def _folder_of(self, transport: str, mode: str) -> Path:
        folder = self._folder / transport / mode
        folder.mkdir(parents=True)
        return folder

    def _entry(self, case: Case) -> dict[str, Any]:
        if case.transport == "stdio":
            return self._stdio(self._folder / "stdio" / case.mode, case.mode)
        port = self._refused_port if case.mode == "refused" else self._port
        return {"type": "http", "url": f"http://{HOST}:{port}/{case.mode}"}

    def _stdio(self, folder: Path, mode: str) -> dict[str, Any]:
        program, *arguments = [*_PYTHON, "tests.faults.stdio_upstream", str(folder), mode]
        return {"command": program, "args": arguments, "cwd": str(ROOT), "env": dict(self._mark)}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
