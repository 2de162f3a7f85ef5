"""Every probe against every sandbox; and with none, to see that the probes do find an open door."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from mcp_gateway.sandbox import Request

from tests.support import require

from .ground import SYSTEM_PYTHON, Ground, Result, Subject, ground_for
from .probes import ALL, PRELUDE, Alone, Probe

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
