"""Rounds: every scenario with every target in turn, and the best of each."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import quantiles

from benchmarks.relay.client import Connection, Question
from benchmarks.relay.scenarios import Scenario, Way
from benchmarks.relay.targets import Target

WARM_UP_S = 0.05
SETTLED_WITHIN_S = 60.0
IDS_APART = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    scenarios: tuple[Scenario, ...]
    rounds: int
    seconds: float


@dataclass(slots=True)
class Outcome:
    """One scenario with one target: each figure the best of all rounds, `errors` the sum. 0 µs: not known."""

    scenario: Scenario
    target: str
    calls_per_s: float = 0.0
    p50_ms: float = float("inf")
    p99_ms: float = float("inf")
    cpu_us: float = float("inf")
    errors: int = 0
    first_error: str = ""

    def add(self, taken_ns: Sequence[int], seconds: float, cpu_ns: int) -> None:
        cuts = quantiles(taken_ns, n=100) if len(taken_ns) > 1 else [taken_ns[0]] * 99
        self.calls_per_s = max(self.calls_per_s, len(taken_ns) / seconds)
        self.p50_ms = min(self.p50_ms, cuts[49] / 1e6)
        self.p99_ms = min(self.p99_ms, cuts[98] / 1e6)
        self.cpu_us = min(self.cpu_us, cpu_ns / len(taken_ns) / 1e3)


class Clients:
    """The connections to one address, each with a session of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._open: list[Connection] = []

    async def get(self, count: int) -> list[Connection]:
        while len(self._open) < count:
            connection = Connection(self._url, len(self._open) * IDS_APART)
            await connection.open_session()
            self._open.append(connection)
        return self._open[:count]


async def outcomes(targets: Sequence[Target], plan: Plan) -> list[Outcome]:
    clients = {url: Clients(url) for target in targets for url in (target.url, target.list_url)}
    for target in targets:
        await _settled(target, (await clients[target.url].get(1))[0])
    found: dict[tuple[Scenario, str], Outcome] = {}
    for _ in range(plan.rounds):
        for scenario in plan.scenarios:
            for target in targets:
                if target.takes(scenario):
                    outcome = found.setdefault((scenario, target.name), Outcome(scenario, target.name))
                    url = target.list_url if scenario.way is Way.LIST else target.url
                    await _round(await clients[url].get(scenario.connections), target, plan.seconds, outcome)
    return list(found.values())


async def _settled(target: Target, connection: Connection) -> None:
    """A gateway may still be finding its servers. Raises TimeoutError."""
    until_s = time.monotonic() + SETTLED_WITHIN_S
    while time.monotonic() < until_s:
        if target.tools <= set(await connection.tool_names()):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{target.name} does not list {', '.join(target.tools)}")


async def _round(connections: Sequence[Connection], target: Target, seconds: float, outcome: Outcome) -> None:
    question = Question(outcome.scenario, target.tool(outcome.scenario.way))
    await _all(connections, question, WARM_UP_S)
    gc.collect()
    gc.disable()
    try:
        cpu_ns, began_s = target.cpu_ns(), time.perf_counter()
        await _all(connections, question, seconds)
        ended_s, cpu_ns = time.perf_counter(), target.cpu_ns() - cpu_ns
    finally:
        gc.enable()
    taken_ns = [taken for connection in connections for taken in connection.taken_ns]
    outcome.add(taken_ns, ended_s - began_s, cpu_ns)
    outcome.errors += sum(connection.errors for connection in connections)
    outcome.first_error = outcome.first_error or _first_error(connections)


async def _all(connections: Sequence[Connection], question: Question, seconds: float) -> None:
    until_ns = time.perf_counter_ns() + int(seconds * 1e9)
    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(connection.run(question, until_ns))


def _first_error(connections: Sequence[Connection]) -> str:
    return next(
        (connection.first_error.decode(errors="replace") for connection in connections if connection.errors), ""
    )
