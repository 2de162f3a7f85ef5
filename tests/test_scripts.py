"""The scripts are sound shell, and the lock pins what the project asks for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support import require

ROOT = Path(__file__).parent.parent
SCRIPTS = sorted(
    path
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run", *(ROOT / "tests").glob("*/*.sh")]
    if os.access(path, os.X_OK) and path.is_file()
)
"""The executable ones; shellcheck follows what they source."""

LOCKS = ("build", "serve", "test")


def pins(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", text, re.MULTILINE))


def asked_for() -> dict[str, list[str]]:
    """The requirements of pyproject.toml that each lock has to pin."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    serve = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["demo"]]
    return {"build": groups["build"], "serve": serve, "test": [*serve, *groups["test"], *groups["lint"]]}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_is_sound_shell(script: Path) -> None:
    require(shutil.which("shellcheck") is not None, "shellcheck is not installed: apt-get install shellcheck")

    run = subprocess.run(
        ["shellcheck", "--severity=warning", "--shell=bash", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_pins_what_the_project_asks_for(lock: str) -> None:
    names = {re.split(r"[\[<>=!~; ]", requirement)[0].lower() for requirement in asked_for()[lock]}

    assert names <= pins(lock).keys()


def test_the_test_lock_holds_the_serve_lock_at_the_same_versions() -> None:
    assert pins("serve").items() <= pins("test").items()


def test_what_builds_and_what_runs_agree_on_versions() -> None:
    build, test = pins("build"), pins("test")

    assert {name: test[name] for name in build.keys() & test.keys()}.items() <= build.items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    requirements = re.split(r"\n(?=\S)", text.strip())

    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_the_project_is_installed_with_a_command_of_its_name() -> None:
    command = Path(sys.executable).with_name("mcp-gateway-server")

    assert command.exists()
    assert version("mcp-gateway-server")
