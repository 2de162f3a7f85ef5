"""What the Python clients share: the command line and the report.

    python -m tests.clients.CLIENT MODE CALLS http URL | sse URL | stdio COMMAND...

The same as that of the TypeScript clients in `tests/node`. MODE is `legacy`,
`auto` or a revision to insist on; CALLS is JSON, {tool: arguments}. One JSON object
is printed: {protocol, tools: [name], resources: [uri], prompts: [name], results: {tool: result}}.
Runs in the environment of whichever SDK drives it, so it imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Errand:
    """What a client is to do: list everything, make the calls, through one door."""

    mode: str
    calls: dict[str, dict[str, Any]]
    door: str
    target: list[str]

    @classmethod
    def of(cls, argv: list[str]) -> Errand:
        mode, calls, door, *target = argv
        return cls(mode, json.loads(calls), door, target)


def report(protocol: str | None, names: dict[str, list[str]], results: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"protocol": protocol, **names, "results": results}) + "\n")
