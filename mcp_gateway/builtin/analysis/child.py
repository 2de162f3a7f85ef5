"""The gateway's end of an analysis: starts a worker, hands it the code, and believes nothing but its report.

Code and its language enter, an `AnalysisResult` leaves, whatever the code does to its parser.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio

from mcp_gateway.builtin.analysis.languages import PYTHON, Language
from mcp_gateway.builtin.analysis.linter import Linted, find_ruff, lint
from mcp_gateway.builtin.analysis.process import run
from mcp_gateway.builtin.analysis.report import AnalysisResult, Complexity, Lines
from mcp_gateway.wire import Malformed, loads

MEMORY_BYTES = 256 * 1024**2
"""Address space of one worker (security facts, 2.3): a parser that wants more will not end well."""

MAX_REPORT_BYTES = 8 * 1024**2
"""A worker lists at most 500 of anything."""

_MAIN = Path(__file__).parent / "worker" / "main.py"


async def analyze(code: bytes, language: Language, timeout_s: float) -> AnalysisResult:
    """Parse, and lint Python besides, within the time; what is not ready by then is missing, with a warning."""
    report: dict[str, Any] = {"warnings": []}
    linted = Linted()

    async def parse() -> None:
        report.update(await _work(code, language, timeout_s))

    async def apply_rules() -> None:
        nonlocal linted
        linted = await lint(find_ruff(), code)

    with anyio.move_on_after(timeout_s) as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(parse)
            if language is PYTHON:
                group.start_soon(apply_rules)
    if scope.cancelled_caught:
        report["warnings"].append(f"the analysis was stopped after {timeout_s:g} s")
    return _result(code, language, report, linted)


async def _work(code: bytes, language: Language, timeout_s: float) -> dict[str, Any]:
    task = {
        "language": language.name,
        "line_comment": language.line_comment,
        "block_comment": language.block_comment,
        "grammar": language.grammar,
        "suffix": language.suffixes[0] if language.measured else None,
        "memory_bytes": MEMORY_BYTES,
        "cpu_s": int(timeout_s) + 1,
    }
    data = json.dumps(task).encode() + b"\n" + code
    ran = await run([sys.executable, "-I", str(_MAIN)], data, MAX_REPORT_BYTES)
    try:
        report: dict[str, Any] = loads(ran.output)
    except Malformed:
        return {"warnings": [f"the parser gave up on it (exit status {ran.status})"]}
    return report


def _result(code: bytes, language: Language, report: dict[str, Any], linted: Linted) -> AnalysisResult:
    total = code.count(b"\n") + (not code.endswith(b"\n") and bool(code))
    broken = report.get("syntax_errors", [])
    return AnalysisResult(
        language=language.name,
        size_bytes=len(code),
        lines=report.get("lines", Lines(total=total, code=0, comment=0, blank=0)),
        syntax_errors=(linted.syntax_errors or broken) if broken else [],
        functions=report.get("functions", []),
        classes=report.get("classes", []),
        imports=report.get("imports", []),
        complexity=report.get("complexity", Complexity(max=0, mean=0.0)),
        lint=linted.lint,
        security=linted.security,
        warnings=[*report["warnings"], *linted.warnings],
    )
