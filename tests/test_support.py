"""Skips: allowed on a person's machine, failures where every part is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import REQUIRE_ALL, require

ROOT = Path(__file__).parent.parent

SKIPS = {
    "require": "from tests.support import require\ndef test_it():\n    require(False, 'no such part')\n",
    "mark": "import pytest\n@pytest.mark.skip(reason='no such part')\ndef test_it(): ...\n",
    "module": "import pytest\npytest.skip('no such part', allow_module_level=True)\n",
}


def run_pytest(test: Path, *, require_all: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "tests.conftest", "-p", "no:cacheprovider", str(test)]
    return subprocess.run(
        [*command, "--rootdir", str(test.parent)],
        cwd=ROOT,
        env=os.environ | {REQUIRE_ALL: require_all},
        capture_output=True,
        text=True,
        check=False,
    )


def test_require_lets_a_met_condition_pass() -> None:
    require(True, "never seen")


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_says_why_on_a_persons_machine(kind: str, tmp_path: Path) -> None:
    test = tmp_path / "test_skipping.py"
    test.write_text(SKIPS[kind])

    run = run_pytest(test, require_all="")

    assert "1 skipped" in run.stdout
    assert "no such part" in run.stdout


@pytest.mark.parametrize("kind", SKIPS)
def test_a_skip_fails_where_everything_is_required(kind: str, tmp_path: Path) -> None:
    test = tmp_path / "test_skipping.py"
    test.write_text(SKIPS[kind])

    run = run_pytest(test, require_all="1")

    assert run.returncode != 0
    assert "no such part" in run.stdout
