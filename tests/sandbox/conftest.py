"""The five subjects, and the table of what they held, printed at the end of the run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from mcp_gateway.sandbox import Sandbox, attempt

from tests.support import require

from .ground import BACKENDS, SYSTEM_PYTHON, Subject, as_ordinary_user

TABLE = pytest.StashKey[Counter[tuple[str, str]]]()
NAMES = [f"{backend}, {user}" for backend in BACKENDS for user in ("root", "ordinary user")]


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = Counter()


@pytest.fixture(scope="session")
def subjects() -> Iterator[dict[str, Subject]]:
    """Every way to run a program that works here, by name; backends that do not work are absent."""
    found = {"none": Subject("none", None)}
    with ExitStack() as stack:
        for backend in BACKENDS:
            _, sandbox = anyio.run(attempt, backend)
            if sandbox is None:
                continue
            if os.geteuid() == 0:
                found[f"{backend}, root"] = Subject(f"{backend}, root", sandbox)
            ordinary = stack.enter_context(as_ordinary_user(sandbox))
            found[ordinary.name] = ordinary
        yield found


@pytest.fixture(params=NAMES)
def subject(request: pytest.FixtureRequest, subjects: dict[str, Subject]) -> Subject:
    require(Path(SYSTEM_PYTHON).exists(), f"probes are Python programs and need {SYSTEM_PYTHON}")
    require(request.param in subjects, f"the sandbox '{request.param}' does not work here")
    return subjects[request.param]


@pytest.fixture(params=BACKENDS)
def sandbox(request: pytest.FixtureRequest, subjects: dict[str, Subject]) -> Sandbox:
    """Each backend, as whoever runs the tests."""
    user = "root" if os.geteuid() == 0 else "ordinary user"
    name = f"{request.param}, {user}"
    require(name in subjects, f"the sandbox '{name}' does not work here")
    found = subjects[name].sandbox
    assert found is not None
    return found


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Counter[tuple[str, str]]:
    return request.config.stash[TABLE]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    counts = config.stash[TABLE]
    if not counts:
        return
    terminalreporter.section("sandbox probes")
    terminalreporter.write_line(f"{'':32}{'must work':>12}{'held':>8}{'escaped':>9}{'not tried':>11}")
    for name in dict.fromkeys(name for name, _ in counts):
        cells = [counts[name, verdict] for verdict in ("works", "held", "escaped", "not tried")]
        terminalreporter.write_line(f"{name:32}{cells[0]:>12}{cells[1]:>8}{cells[2]:>9}{cells[3]:>11}")
