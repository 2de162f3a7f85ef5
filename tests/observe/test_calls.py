"""The record of calls: what is kept, where, and what a disk may do to it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp_gateway.events import OfferChanged
from mcp_gateway.observe import calls as record
from mcp_gateway.observe.audit_file import AuditFile
from mcp_gateway.observe.calls import Calls, Keeping
from mcp_gateway.observe.fold import AT_ONCE

from tests.fakes.clock import Clock
from tests.observe.calls import ended


@pytest.fixture
def calls(tmp_path: Path) -> Calls:
    return Calls(AuditFile(tmp_path / "audit", "key"), Keeping(60.0), clock=Clock())


def written(folder: Path) -> list[dict[str, Any]]:
    files = AuditFile(folder / "audit", "key").files()
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


async def test_a_call_is_in_memory_and_on_disk_as_plain_data(calls: Calls, tmp_path: Path) -> None:
    calls.hear(OfferChanged("up"))
    calls.hear(ended(cached=True))
    await calls.flush()

    (call,) = calls.latest()
    assert (call["at"], call["duration_ms"], call["cached"]) == ("2027-01-15T08:00:00.000+00:00", 12.346, True)
    assert written(tmp_path) == [call]


async def test_a_name_that_is_no_unicode_is_written_all_the_same(calls: Calls, tmp_path: Path) -> None:
    calls.hear(ended(server="\ud800"))
    await calls.flush()

    assert [call["server"] for call in written(tmp_path)] == ["\ud800"]


async def test_refused_calls_do_not_push_out_those_that_were_made(calls: Calls, tmp_path: Path) -> None:
    calls.hear(ended(tool="made"))
    for number in range(record.QUEUE + record.LATEST):
        calls.hear(ended(at=1_800_000_000.0 + number / 10_000, outcome="unknown_name", refused=True))
    calls.hear(ended(tool="made too"))
    await calls.flush()

    first, *refused, last = written(tmp_path)
    assert (first["tool"], last["tool"], calls.dropped) == ("made", "made too", 0)
    assert len(refused) == AT_ONCE + 1
    assert calls.latest() == [last, *reversed(refused), first]


def test_the_newest_come_first_and_the_oldest_are_forgotten(calls: Calls) -> None:
    for number in range(record.LATEST + 5):
        calls.hear(ended(tool=str(number)))

    assert [call["tool"] for call in calls.latest(2)] == [str(record.LATEST + 4), str(record.LATEST + 3)]
    assert len(calls.latest()) == record.LATEST


def test_calls_older_than_records_are_kept_are_not_shown(calls: Calls) -> None:
    calls.hear(ended(at=1_800_000_000.0 - 61))
    calls.hear(ended(at=1_800_000_000.0 - 59))

    assert len(calls.latest()) == 1


async def test_nothing_is_kept_where_nothing_is_to_be_recorded(calls: Calls, tmp_path: Path) -> None:
    calls.hear(ended())
    calls.configure(Keeping(None))
    calls.hear(ended())
    await calls.flush()

    assert calls.latest() == []
    assert not (tmp_path / "audit").exists()


async def test_the_task_writes_by_itself(calls: Calls, tmp_path: Path) -> None:
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(calls.run)
            for _ in range(2):
                calls.hear(ended())
                before = len(written(tmp_path))
                while len(written(tmp_path)) == before:  # noqa: ASYNC110 - a file announces itself to nobody
                    await anyio.sleep(0.02)
            group.cancel_scope.cancel()

    assert len(written(tmp_path)) == 2


async def test_a_queue_that_is_full_drops_what_comes_and_counts_it(calls: Calls, tmp_path: Path) -> None:
    for _ in range(record.QUEUE + 3):
        calls.hear(ended())
    await calls.flush()

    assert calls.dropped == 3
    assert len(written(tmp_path)) == record.QUEUE


async def test_a_disk_that_refuses_costs_one_warning_and_is_tried_again(
    calls: Calls, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    blocked = tmp_path / "audit"
    blocked.write_text("not a folder")
    for _ in range(2):
        calls.hear(ended())
        await calls.flush()
    assert (calls.dropped, calls.failure) == (2, "File exists")
    blocked.unlink()
    calls.hear(ended())
    await calls.flush()

    assert [line.message.split()[0] for line in caplog.records] == ["calls.not_written", "calls.written_again"]
    assert (len(written(tmp_path)), calls.failure) == (1, None)
