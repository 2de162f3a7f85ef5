"""`mcp-gateway` as a child process, the way a user meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.gateway import environment

TOOL_BOX = Path(__file__).parents[1] / "fakes" / "tool_box.py"
ENDS_WITHIN_S = 60
"""A loaded machine of 2 cores, not a promise."""


def tool_box(*names: str, **entry: Any) -> dict[str, Any]:
    """A configured server: the tool box, with all of its tools or those named."""
    return {"command": sys.executable, "args": [str(TOOL_BOX), *names], "era": "legacy", **entry}


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def body(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The last line of standard error as the JSON of a failure."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return error


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mcp_gateway", *arguments]


def run(folder: Path, *arguments: str, stdin: str | None = None, **env: str) -> Done:
    """Run one command in `folder`, with its state there; standard input is empty unless given."""
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        env=environment(folder, **env),
        input=stdin or "",
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=ENDS_WITHIN_S,
    )
    return Done(done.returncode, done.stdout, done.stderr)
