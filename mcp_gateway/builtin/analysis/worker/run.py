"""One analysis: limits first, then the reader of the language, then a report that is small whatever the code holds."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

from . import data, lines, python, trees

MAX_ITEMS = 500
"""Entries of each list that are reported (our choice: a page, not a dump)."""

_TOO_DEEP = "it is nested too deeply to be parsed"


def main() -> None:  # pragma: no cover - as in main.py
    """A line of JSON (the task), then the code, on standard input; the report on standard output."""
    task = json.loads(sys.stdin.buffer.readline())
    confine(task["memory_bytes"], task["cpu_s"])
    code = sys.stdin.buffer.read().decode()
    json.dump(analyze(task, code), sys.stdout)


def confine(memory_bytes: int, cpu_s: int) -> None:  # pragma: no cover - as in main.py
    """Memory, processor time, no files, no core; where the system has such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, value in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):  # macOS refuses RLIMIT_AS
            resource.setrlimit(limit, (value, value))


def analyze(task: dict[str, Any], code: str) -> dict[str, Any]:
    """Every reader's failure is a warning: what the others found is still worth having."""
    report: dict[str, Any] = {
        "lines": lines.count(code, task["line_comment"], task["block_comment"]),
        "syntax_errors": [],
        "functions": [],
        "classes": [],
        "imports": [],
        "warnings": [],
    }
    for reader in _readers(task["language"]):
        try:
            reader(task, code, report)
        except (RecursionError, MemoryError):
            report["warnings"].append(_TOO_DEEP)
        except ValueError as error:
            report["warnings"].append(f"it cannot be parsed: {error}")
    return _bounded(report)


def _readers(language: str) -> tuple[Any, ...]:
    if language == "python":
        return (python.read,)
    if language == "json":
        return (data.read,)
    return trees.read, trees.measure


def _bounded(report: dict[str, Any]) -> dict[str, Any]:
    functions = [function["complexity"] for function in report["functions"]]
    report["complexity"] = {
        "max": max(functions, default=0),
        "mean": round(sum(functions) / len(functions), 2) if functions else 0.0,
    }
    for name in ("syntax_errors", "functions", "classes", "imports"):
        found = report[name]
        if len(found) > MAX_ITEMS:
            report["warnings"].append(f"{len(found)} {name} were found; the first {MAX_ITEMS} are listed")
            report[name] = found[:MAX_ITEMS]
    return report
