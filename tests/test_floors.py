"""The floors of the house hold, and the checks that hold them see what they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import require

ROOT = Path(__file__).parent.parent
LAYOUT = ROOT / "scripts" / "layout.py"

HOUSE = {
    "scripts/layout.py": LAYOUT.read_text(encoding="utf-8"),
    "mcp_gateway/__init__.py": "",
    "mcp_gateway/wire.py": "import json\n",
    "mcp_gateway/config/__init__.py": "import yaml\n",
    "mcp_gateway/downstream/__init__.py": "from starlette.applications import Starlette\n",
    "mcp_gateway/builtin/__init__.py": "import psutil\n",
    "tests/test_wire.py": "",
    "tests/config/test_loading.py": "",
    "tests/downstream/test_http.py": "",
    "tests/builtin/test_sysinfo.py": "",
}


def build(folder: Path, house: dict[str, str]) -> Path:
    for name, text in house.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "scripts" / "layout.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_module_imports_from_lower_floors_only() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    require(linter.exists(), "import-linter is not installed; scripts/test installs it")

    run = subprocess.run([linter, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout


def test_the_layout_check_accepts_a_house_in_order(tmp_path: Path) -> None:
    run = check(build(tmp_path, HOUSE))

    assert (run.returncode, run.stdout) == (0, "layout: tests mirror sources, libraries are at home\n")


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("mcp_gateway/events.py", "", "mcp_gateway/events.py: no tests in tests/events/ or tests/test_events.py"),
        ("mcp_gateway/cache/__init__.py", "", "mcp_gateway/cache: no tests in tests/cache/ or tests/test_cache.py"),
        ("tests/attic/test_old.py", "", "tests/attic/: mirrors no room"),
        (
            "mcp_gateway/builtin/fetch.py",
            "import yaml.nodes",
            "mcp_gateway/builtin/fetch.py: imports yaml, whose home is config",
        ),
        (
            "mcp_gateway/downstream/rest.py",
            "from mcp_gateway.builtin import ask",
            "mcp_gateway/downstream/rest.py: downstream and builtin are strangers",
        ),
        (
            "mcp_gateway/builtin/ask.py",
            "def ask():\n    from mcp_gateway import downstream",
            "mcp_gateway/builtin/ask.py: builtin and downstream are strangers",
        ),
    ],
)
def test_the_layout_check_names_a_fault(name: str, text: str, fault: str, tmp_path: Path) -> None:
    run = check(build(tmp_path, HOUSE | {name: text}))

    assert run.returncode == 1
    assert run.stdout.splitlines() == [fault]
