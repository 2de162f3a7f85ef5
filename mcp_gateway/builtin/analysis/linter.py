"""ruff, where it is installed: security rules, common mistakes, and every syntax error at once.

Code enters, findings leave. It runs without any configuration of the project, and with an empty environment.
"""

from __future__ import annotations

import shutil
import sys
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp_gateway.builtin.analysis.process import run
from mcp_gateway.builtin.analysis.report import Finding, SecurityFinding, SyntaxProblem
from mcp_gateway.wire import loads

INSTALL = "lint and security rules were not applied; pip install 'mcp-gateway-server[analysis]'"
MAX_FINDINGS = 200
MAX_OUTPUT_BYTES = 4 * 1024**2
"""Room for more than that many findings; ruff writes about 1 kB for each, and its order is that of the text."""

_COMMAND = (
    "check",
    "--isolated",
    "--no-cache",
    "--quiet",
    "--exit-zero",
    "--output-format=json-lines",
    "--ignore-noqa",
    "--select=S,F,B,E7,E9",
    "--ignore=S101",  # an assertion is no hole
    "--stdin-filename=code.py",
    "-",
)
_HIGH = frozenset(
    {"S102", "S105", "S106", "S107", "S301", "S302", "S307", "S324", "S501", "S506", "S602", "S605", "S608"}
)
"""Running or decoding what strangers send, secrets in the text, broken checks: bandit calls these medium or high."""


@dataclass(slots=True)
class Linted:
    """What ruff said."""

    lint: list[Finding] = field(default_factory=list)
    security: list[SecurityFinding] = field(default_factory=list)
    syntax_errors: list[SyntaxProblem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def find_ruff() -> str | None:
    """Beside our own Python first: that is where the extra puts it."""
    scripts = {str(Path(sys.executable).parent), sysconfig.get_path("scripts")}
    return next((found for folder in scripts if (found := shutil.which("ruff", path=folder))), None)


async def lint(program: str | None, code: bytes) -> Linted:
    """Waits for ruff, which is at `program`; the caller sets the deadline."""
    if program is None:
        return Linted(warnings=[INSTALL])
    ran = await run([program, *_COMMAND], code, MAX_OUTPUT_BYTES)
    if ran.status != 0 and not ran.cut:
        return Linted(warnings=["the linter gave up on it"])
    said = ran.output.splitlines()
    return _sorted([loads(line) for line in said[:MAX_FINDINGS]], more=ran.cut or len(said) > MAX_FINDINGS)


def _sorted(diagnostics: list[dict[str, Any]], more: bool) -> Linted:
    linted = Linted()
    for item in diagnostics:
        rule, message, place = item.get("code"), str(item.get("message")), item["location"]
        if rule in (None, "invalid-syntax"):
            problem = SyntaxProblem(line=place["row"], column=place["column"], message=message)
            linted.syntax_errors.append(problem)
        elif rule.startswith("S"):
            severity = "high" if rule in _HIGH else "low"
            linted.security.append(SecurityFinding(rule=rule, line=place["row"], message=message, severity=severity))
        else:
            linted.lint.append(Finding(rule=rule, line=place["row"], message=message))
    if more:
        linted.warnings.append(f"the linter found more than {MAX_FINDINGS} things; those are listed")
    return linted
