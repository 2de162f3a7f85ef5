"""Every probe against every sandbox; and with none, to see that the probes do find an open door."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from mcp_gateway.sandbox import Request

from tests.support import require

from .ground import SYSTEM_PYTHON, Ground, Result, Subject, ground_for
from .probes import ALL, PRELUDE, Alone, Probe
from .together import try_together

Table = Counter[tuple[str, str]]


async def _try(probe: Probe, subject: Subject, ground: Ground) -> Result:
    argv = (SYSTEM_PYTHON, "-I", "-c", PRELUDE + probe.code, ground.targets())
    leaked = os.open(ground.config, os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        return await subject.run(Request(argv, workdir=str(ground.workdir)), leak=(leaked,))
    finally:
        os.close(leaked)


@pytest.mark.parametrize("probe", ALL, ids=str)
async def test_sandbox_holds(probe: Probe, subject: Subject, table: Table) -> None:
    with ground_for(subject) as ground:
        result = await _try(probe, subject, ground)
        escaped = probe.judge(ground, result)
    table[subject.name, "escaped" if escaped else "held"] += 1
    assert not escaped, result


ONE_BY_ONE = ("process", "limits")
"""Kinds of probe that end a run, or fill it. The others share one container, whose start costs more than they do."""


@pytest.mark.parametrize("probe", [probe for probe in ALL if probe.kind in ONE_BY_ONE], ids=str)
async def test_container_holds(probe: Probe, container_subject: Subject, table: Table) -> None:
    with ground_for(container_subject) as ground:
        result = await _try(probe, container_subject, ground)
        escaped = probe.judge(ground, result)
    table[container_subject.name, "escaped" if escaped else "held"] += 1
    assert not escaped, result


async def test_container_holds_what_one_run_can_try(container_subject: Subject, table: Table) -> None:
    probes = [probe for probe in ALL if probe.kind not in ONE_BY_ONE]
    with ground_for(container_subject) as ground:
        results = await try_together([PRELUDE + probe.code for probe in probes], container_subject, ground)
        escaped = [str(probe) for probe, result in zip(probes, results, strict=True) if probe.judge(ground, result)]
    table[container_subject.name, "escaped"] += len(escaped)
    table[container_subject.name, "held"] += len(probes) - len(escaped)
    assert escaped == []


async def test_programs_that_share_a_run_are_told_apart(subjects: dict[str, Subject]) -> None:
    programs = ["print('ESCAPED')", "import sys; print('x', file=sys.stderr); sys.exit(3)"]
    with ground_for(subjects["none"]) as ground:
        results = await try_together(programs, subjects["none"], ground)
    assert [(r.exit_code, r.stdout, r.stderr) for r in results] == [(0, b"ESCAPED\n", b""), (3, b"", b"x\n")]


@pytest.mark.parametrize("probe", ALL, ids=str)
async def test_probe_finds_an_open_door(probe: Probe, subjects: dict[str, Subject], table: Table) -> None:
    require(os.geteuid() == 0, "the probes are checked as root, who is stopped by nothing else")
    if probe.alone is Alone.NOT_TRIED:
        table["none", "not tried"] += 1
        return
    with ground_for(subjects["none"]) as ground:
        result = await _try(probe, subjects["none"], ground)
        escaped = probe.judge(ground, result)
    table["none", "escaped" if escaped else "held"] += 1
    assert escaped or probe.alone is Alone.HOLDS, result
