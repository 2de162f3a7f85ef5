"""The clients of the matrix, and how to send one of them on an errand.

A client is a program of its own; what it printed comes back as its report. Output
goes to files: a process it left behind could hold a pipe open for ever.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.setup import node_folder, python_sdk_1

ROOT = Path(__file__).parents[2]
ERRAND_S = 150
"""The Inspector needs five processes for one errand, over stdio with a gateway each: 10 s, 50 s on a busy machine."""


def _this_python(module: str) -> list[str]:
    return [sys.executable, "-m", f"tests.clients.{module}"]


def _old_python(module: str) -> list[str]:
    return [str(python_sdk_1()), "-m", f"tests.clients.{module}"]


def _node(program: str) -> list[str]:
    return [str(node_folder() / "bin/node"), f"tests/node/{program}"]


@dataclass(frozen=True)
class RealClient:
    """One client in one mode; `protocol` is the revision it must agree on over a door of both eras."""

    name: str
    mode: str
    protocol: str | None
    command: Callable[[str], list[str]]
    program: str

    def __str__(self) -> str:
        return f"{self.name}-{self.mode}"

    def run(self, folder: Path, calls: dict[str, Any], door: str, target: list[str]) -> dict[str, Any]:
        """The report of one errand; the client must end by itself and without an error."""
        command = [*self.command(self.program), self.mode, json.dumps(calls), door, *target]
        env = {**os.environ, "MCP_GATEWAY_TEST_NODE": str(node_folder())}
        output, errors = folder / "stdout", folder / "stderr"
        with output.open("wb") as stdout, errors.open("wb") as stderr:
            done = subprocess.run(
                command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, timeout=ERRAND_S
            )
        assert done.returncode == 0, f"{self} ended with {done.returncode}:\n{errors.read_text()}"
        report: dict[str, Any] = json.loads(output.read_text())
        return report


LEGACY, MODERN = "2025-11-25", "2026-07-28"

CLIENTS = [
    RealClient("py-sdk-2", "legacy", LEGACY, _this_python, "py_sdk_2"),
    RealClient("py-sdk-2", "auto", MODERN, _this_python, "py_sdk_2"),
    RealClient("py-sdk-2", MODERN, MODERN, _this_python, "py_sdk_2"),
    RealClient("py-sdk-1", "legacy", LEGACY, _old_python, "py_sdk_1"),
    RealClient("ts-v1", "legacy", LEGACY, _node, "ts_v1.mjs"),
    RealClient("ts-v2", "legacy", LEGACY, _node, "ts_v2.mjs"),
    RealClient("ts-v2", "auto", MODERN, _node, "ts_v2.mjs"),
    RealClient("ts-v2", MODERN, MODERN, _node, "ts_v2.mjs"),
    RealClient("inspector", "legacy", None, _this_python, "inspector"),
    RealClient("inspector", "auto", None, _this_python, "inspector"),
    RealClient("inspector", "modern", None, _this_python, "inspector"),
]
"""The Inspector does not tell which revision it agreed on."""
