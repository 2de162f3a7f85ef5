"""The MCP Inspector's command line, which does one errand per process and opens with `initialize` unless told.

MCP_GATEWAY_TEST_NODE names the folder that `tests/setup/node.sh` made. The
Inspector does not say which revision it agreed on, so the report's is null.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.clients.errand import Errand, report

FOLDER = Path(os.environ["MCP_GATEWAY_TEST_NODE"])
LONGEST_S = 30
"""One errand of the Inspector; it waits at most 15 s for a connection by itself."""


def ask(errand: Errand, method: str, *arguments: str) -> dict[str, Any]:
    """One run of the Inspector: the result of `method`."""
    command = [
        str(FOLDER / "bin/node"),
        str(FOLDER / "node_modules/.bin/mcp-inspector"),
        "--cli",
        "--format",
        "json",
        "-q",
    ]
    command += ["--transport", errand.door, "--protocol-era", errand.mode, "--method", method, *arguments]
    command += ["--", *errand.target] if errand.door == "stdio" else ["--server-url", *errand.target]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=LONGEST_S, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    result: dict[str, Any] = answer["result"]
    return result


def run(errand: Errand) -> None:
    names = {
        "tools": [tool["name"] for tool in ask(errand, "tools/list")["tools"]],
        "resources": [resource["uri"] for resource in ask(errand, "resources/list")["resources"]],
        "prompts": [prompt["name"] for prompt in ask(errand, "prompts/list")["prompts"]],
    }
    results = {
        tool: ask(errand, "tools/call", "--tool-name", tool, "--tool-args-json", json.dumps(arguments))
        for tool, arguments in errand.calls.items()
    }
    report(None, names, results)


if __name__ == "__main__":
    run(Errand.of(sys.argv[1:]))
