"""What every test may ask for, and what holds for all of them."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import TypeVar

import keyring
import pytest

from tests.fakes.system_keyring import FakeKeyring
from tests.support import REQUIRE_ALL

# The keyring of whoever runs the tests is left alone, by them and by every process that they start.
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The gateway runs on asyncio: its wires are asyncio protocols."""
    return "asyncio"


@pytest.fixture
def fake_keyring() -> Iterator[FakeKeyring]:
    """The keyring of this process, empty, for one test; without it there is none."""
    before, store = keyring.get_keyring(), FakeKeyring()
    keyring.set_keyring(store)
    yield store
    keyring.set_keyring(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return refuse_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return refuse_skip((yield))


def refuse_skip(report: Report) -> Report:
    """Where every optional part is installed, a skip is a failure: nothing goes untested unseen."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get(REQUIRE_ALL) == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_ALL} is set, and this was skipped: {reason}"
    return report
