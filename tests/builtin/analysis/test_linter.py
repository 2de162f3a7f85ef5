"""ruff, where it is and where it is not."""

from __future__ import annotations

from pathlib import Path

import anyio
from mcp_gateway.builtin.analysis.linter import INSTALL, MAX_FINDINGS, find_ruff, lint

from tests.support import require


async def test_without_ruff_the_extra_is_named() -> None:
    assert (await lint(None, b"import os\n")).warnings == [INSTALL]


async def test_a_linter_that_breaks_is_a_warning(tmp_path: Path) -> None:
    broken = tmp_path / "ruff"
    broken.write_text("#!/bin/sh\nexit 2\n")
    broken.chmod(0o755)

    assert (await lint(str(broken), b"x")).warnings == ["the linter gave up on it"]


async def test_a_linter_that_never_stops_talking_is_stopped(tmp_path: Path) -> None:
    endless = tmp_path / "ruff"
    line = '{"code": "F401", "message": "m", "location": {"row": 1, "column": 1}}'
    endless.write_text(f"#!/bin/sh\nexec yes '{line}'\n")
    endless.chmod(0o755)

    with anyio.fail_after(10):
        linted = await lint(str(endless), b"x")

    assert len(linted.lint) == MAX_FINDINGS


async def test_many_findings_are_cut_and_said_to_be() -> None:
    program = find_ruff()
    require(program is not None, "ruff is missing: pip install 'mcp-gateway-server[analysis]'")
    linted = await lint(program, b"eval(input())\n" * 300)

    assert len(linted.security) == MAX_FINDINGS
    assert linted.warnings == ["the linter found more than 200 things; those are listed"]
