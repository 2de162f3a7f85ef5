"""Shedding begins near the limit, ends well below it, and is told once."""

from __future__ import annotations

import logging

import anyio
import pytest
from mcp_gateway.observe.memory import MIB, MemoryWatch, Reading

GIB = 1024 * MIB
ROOM = Reading(total=16 * GIB, available=8 * GIB)


def machine(available: int, total: int = 16 * GIB) -> Reading:
    return Reading(total, available)


def container(used: int, limit: int = 1000 * MIB) -> Reading:
    return Reading(16 * GIB, 8 * GIB, limit, used)


def watch(*readings: Reading) -> MemoryWatch:
    watching = MemoryWatch(lambda: ROOM)
    for reading in readings:
        watching.note(reading)
    return watching


@pytest.mark.parametrize(
    ("reading", "reason"),
    [
        (ROOM, None),
        (machine(257 * MIB), None),
        (machine(256 * MIB), "256 of 16384 MiB of this machine are free"),
        (machine(42 * MIB, total=1024 * MIB), None),
        (machine(40 * MIB, total=1024 * MIB), "40 of 1024 MiB of this machine are free"),
        (container(919 * MIB), None),
        (container(920 * MIB), "920 of the 1000 MiB of this container are in use"),
    ],
)
def test_shedding_begins_near_a_limit(reading: Reading, reason: str | None) -> None:
    assert watch(reading).reason == reason


@pytest.mark.parametrize(
    ("full", "still", "ended"),
    [
        (machine(200 * MIB), machine(500 * MIB), machine(513 * MIB)),
        (container(950 * MIB), container(860 * MIB), container(849 * MIB)),
    ],
)
def test_it_ends_well_below(full: Reading, still: Reading, ended: Reading) -> None:
    assert watch(full, still).reason is not None
    assert watch(full, still, ended).reason is None
    assert watch(full, still, ended, still).reason is None


def test_each_change_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        watching = watch(ROOM, *[container(950 * MIB)] * 3, ROOM, ROOM, container(950 * MIB))

    events = [record.getMessage().split()[0] for record in caplog.records]
    assert events == ["memory.shedding", "memory.recovered", "memory.shedding"]
    assert watching.episodes == 2


async def test_it_looks_by_itself_and_outlives_what_cannot_be_read() -> None:
    failures = [OSError(24, "too many open files"), OSError(24, "too many open files")]

    def read() -> Reading:
        if failures:
            raise failures.pop()
        return machine(0)

    watching = MemoryWatch(read, every_s=0.01)
    async with anyio.create_task_group() as group:
        group.start_soon(watching.run)
        with anyio.fail_after(5):
            while watching.reason is None:  # noqa: ASYNC110 - it announces nothing
                await anyio.sleep(0.01)
        group.cancel_scope.cancel()
