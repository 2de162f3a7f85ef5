"""The six subjects, and the table of what they held, printed at the end of the run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from mcp_gateway.sandbox import Backend, Sandbox, attempt

from tests.setup import container
from tests.support import require

from .ground import BACKENDS, SYSTEM_PYTHON, Subject, as_ordinary_user

TABLE = pytest.StashKey[Counter[tuple[str, str]]]()
CONTAINER = "container, root"
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


@pytest.fixture(scope="session")
def container_subject() -> Subject:
    tried, sandbox = anyio.run(attempt, Backend.CONTAINER, (), container())
    require(sandbox is not None, f"the sandbox '{CONTAINER}' does not work here: {tried.reason}")
    return Subject(CONTAINER, sandbox)


def _named(name: str, request: pytest.FixtureRequest) -> Subject:
    if name == CONTAINER:
        found: Subject = request.getfixturevalue("container_subject")
        return found
    subjects: dict[str, Subject] = request.getfixturevalue("subjects")
    require(name in subjects, f"the sandbox '{name}' does not work here")
    return subjects[name]


@pytest.fixture(params=NAMES)
def subject(request: pytest.FixtureRequest) -> Subject:
    require(Path(SYSTEM_PYTHON).exists(), f"probes are Python programs and need {SYSTEM_PYTHON}")
    return _named(request.param, request)


@pytest.fixture(params=[*NAMES, CONTAINER])
def any_subject(request: pytest.FixtureRequest) -> Subject:
    return _named(request.param, request)


@pytest.fixture(params=[*BACKENDS, Backend.CONTAINER])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Each backend, as whoever runs the tests."""
    user = "root" if os.geteuid() == 0 else "ordinary user"
    name = CONTAINER if request.param is Backend.CONTAINER else f"{request.param}, {user}"
    found = _named(name, request).sandbox
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
