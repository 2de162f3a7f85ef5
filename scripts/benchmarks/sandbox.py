"""The sandbox: starting and ending /bin/true in each backend, against a bare child process in the same run."""

from __future__ import annotations

import argparse
import time
from statistics import median

import anyio
from mcp_gateway.sandbox import BACKENDS, Request, attempt

from benchmarks.report import Report, Row

PROGRAM = "/bin/true"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--repeats", type=int, default=15, help="runs of each, of which the median counts")


def measure(arguments: argparse.Namespace) -> Report:
    return anyio.run(_measure, arguments.repeats)


async def _measure(repeats: int) -> Report:
    floor_s = await _bare_s(repeats)
    rows: list[Row] = [_row("bare process", floor_s, floor_s)]
    notes = [f"{PROGRAM}, median of {repeats} runs"]
    for backend in BACKENDS:
        tried, sandbox = await attempt(backend)
        if sandbox is None:
            notes.append(f"{backend}: not measured, {tried.reason}")
            continue
        taken_s = []
        for _ in range(repeats):
            started_s = time.perf_counter()
            await sandbox.run(Request((PROGRAM,)))
            taken_s.append(time.perf_counter() - started_s)
        rows.append(_row(str(backend), median(taken_s), floor_s))
    return Report(rows, notes)


async def _bare_s(repeats: int) -> float:
    taken_s = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        await anyio.run_process([PROGRAM])
        taken_s.append(time.perf_counter() - started_s)
    return median(taken_s)


def _row(what: str, taken_s: float, floor_s: float) -> Row:
    return {"what": what, "ms": taken_s * 1000, "x bare": taken_s / floor_s}
