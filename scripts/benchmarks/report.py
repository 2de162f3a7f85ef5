"""What a benchmark says: rows of figures, notes, and the machine they come from."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from statistics import median

Row = Mapping[str, str | float]


@dataclass(frozen=True, slots=True)
class Report:
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def environment() -> dict[str, str]:
    return {
        "processor": _processor(),
        "cpus": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
        "mcp-gateway-server": version("mcp-gateway-server"),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def markdown(rows: Sequence[Row]) -> str:
    """A table with the columns of the first row; figures to three digits."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cell(value: str | float) -> str:
    return str(value) if isinstance(value, str | int) else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"


def per_call_s(act: Callable[[], object], calls: int, repeats: int) -> float:
    """The median over `repeats` of the seconds that one of `calls` calls took."""
    taken_s = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        for _ in range(calls):
            act()
        taken_s.append((time.perf_counter() - started_s) / calls)
    return median(taken_s)
