"""Servers of OpenAI's API that nobody here wrote, started for a test: llama.cpp and aimock."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.llm import bigram
from tests.setup import llama_cpp, node_folder

READY_S = 30
"""A loaded machine of 2 cores, not a promise."""

_POLL_S = 0.05
_LISTENING = re.compile(r"listening on (http://\S+)")


@contextmanager
def llama_cpp_server(folder: Path, *, embeddings: bool = False) -> Iterator[str]:
    """The base URL of llama.cpp with the model of two rules."""
    model = bigram.write(folder / "bigram.gguf")
    kind = ["embeddings"] if embeddings else []
    with _serving(folder, [str(llama_cpp()), str(Path(__file__).with_name("llama_cpp.py")), str(model), *kind]) as url:
        yield url


@contextmanager
def aimock(folder: Path, fixtures: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The base URL of a mock that answers as its fixtures say."""
    told = folder / "fixtures.json"
    told.write_text(json.dumps({"fixtures": fixtures}), encoding="utf-8")
    node = node_folder()
    program = node / "node_modules/@copilotkit/aimock/dist/cli.js"
    with _serving(folder, [str(node / "bin/node"), str(program), "-p", "0", "-f", str(told)]) as url:
        yield url


@contextmanager
def _serving(folder: Path, command: list[str]) -> Iterator[str]:
    """Where the program says that it listens; it is stopped at the end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield f"{_address(process, log)}/v1"
    finally:
        process.terminate()
        process.communicate(timeout=READY_S)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline_monotonic_s = time.monotonic() + READY_S
    while (found := _LISTENING.search(log.read_text(errors="replace"))) is None:
        assert process.poll() is None, f"it ended:\n{log.read_text(errors='replace')}"
        assert time.monotonic() < deadline_monotonic_s, "it does not listen"
        time.sleep(_POLL_S)
    return found[1]
