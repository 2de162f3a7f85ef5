"""The hop: what a call costs through this gateway, and through what else could stand in its place.

Gateways and floors stand side by side before one raw upstream and are driven in turn, so that their ratios are of one
run. `floor` answers itself: a bare ASGI application on uvicorn, uvloop and httptools. `direct` is the upstream alone.
The CPU of a call is the time on a processor of all threads of the target's process, and moves least with other load.
Every answer is checked. Rounds are short, and the best of them counts.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import uvloop

from benchmarks.relay.run import Outcome, Plan, outcomes
from benchmarks.relay.scenarios import QUICK, USUAL, Scenario, everything
from benchmarks.relay.targets import Machine, Target, nginx_version, opened, peer_version
from benchmarks.report import Report, Row

FLOOR = "floor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="the floor and this gateway alone, within half a minute")
    parser.add_argument("--full", action="store_true", help="every number of connections with every size")
    parser.add_argument("--only", metavar="TEXT", default="", help="scenarios whose name holds this")
    parser.add_argument("--targets", metavar="NAME", nargs="+", help="these alone: direct, floor, nginx, sdk, ours ...")
    parser.add_argument("--fastmcp", metavar="PYTHON", type=Path, help="a Python that has fastmcp: its proxy runs too")
    parser.add_argument("--rounds", type=int, help="how often each scenario runs with each target (3, or 2 when quick)")
    parser.add_argument("--seconds", type=float, help="how long a round is (0.4, or 0.25 when quick)")


def measure(arguments: argparse.Namespace) -> Report:
    scenarios = QUICK if arguments.quick else everything() if arguments.full else USUAL
    plan = Plan(
        scenarios=tuple(scenario for scenario in scenarios if arguments.only in scenario.name),
        rounds=arguments.rounds or (2 if arguments.quick else 3),
        seconds=arguments.seconds or (0.25 if arguments.quick else 0.4),
    )
    machine = Machine.here()
    machine.take_load_side()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, opened(Path(folder), machine, arguments) as targets:
        found = uvloop.run(outcomes(targets, plan))
    wrong = [f"{one.target}, {one.scenario.name}: {one.first_error}" for one in found if one.errors]
    return Report(_rows(found, plan.scenarios), [*wrong, *_notes(targets, plan, machine, arguments)])


def _rows(found: Sequence[Outcome], scenarios: Sequence[Scenario]) -> list[Row]:
    rows: list[Row] = []
    for scenario in scenarios:
        of_scenario = [outcome for outcome in found if outcome.scenario is scenario]
        floor = next((outcome for outcome in of_scenario if outcome.target == FLOOR), None)
        rows += [_row(outcome, floor) for outcome in of_scenario]
    return rows


def _row(outcome: Outcome, floor: Outcome | None) -> Row:
    is_known = floor is not None and outcome.cpu_us and floor.cpu_us
    return {
        "scenario": outcome.scenario.name,
        "target": outcome.target,
        "calls/s": round(outcome.calls_per_s),
        "p50 ms": outcome.p50_ms,
        "p99 ms": outcome.p99_ms,
        "CPU µs": outcome.cpu_us or "-",
        "x floor": outcome.cpu_us / floor.cpu_us if floor is not None and is_known else "-",
        "errors": outcome.errors,
    }


def _notes(targets: Sequence[Target], plan: Plan, machine: Machine, arguments: argparse.Namespace) -> list[str]:
    libraries = [f"{name} {version(name)}" for name in ("uvicorn", "uvloop", "httptools", "mcp")]
    names = [target.name for target in targets]
    if "nginx" in names:
        libraries.append(nginx_version())
    if arguments.fastmcp is not None and "fastmcp" in names:
        libraries.append(f"fastmcp {peer_version(arguments.fastmcp, 'fastmcp')}")
    return [
        f"best of {plan.rounds} rounds of {plan.seconds:g} s; CPU µs are those of a call; {machine}",
        ", ".join(libraries),
        f"made by: scripts/bench {' '.join(sys.argv[1:])}",
    ]
