"""One program over a text: its input may stay unread, its output is bounded, and it never outlives the waiting."""

from __future__ import annotations

from pathlib import Path

import anyio
import psutil
from mcp_gateway.builtin.analysis.process import run

BIG = b"x" * 1_000_000


async def test_the_output_and_the_status_come_back() -> None:
    finished = await run(["sh", "-c", "cat; exit 3"], BIG, 2_000_000)

    assert (finished.status, finished.output, finished.cut) == (3, BIG, False)


async def test_a_program_that_does_not_read_its_input_is_no_trouble() -> None:
    assert (await run(["sh", "-c", "exit 2"], BIG, 100)).status == 2


async def test_too_much_output_is_cut_and_ends_the_program() -> None:
    with anyio.fail_after(10):
        finished = await run(["yes"], b"", 100)

    assert (len(finished.output), finished.cut, finished.status) == (100, True, -9)


async def test_a_caller_that_gives_up_ends_the_program(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with anyio.move_on_after(0.5):
        await run(["sh", "-c", f"echo $$ > {pid}; exec sleep 60"], b"", 100)

    assert not psutil.pid_exists(int(pid.read_text()))


async def test_it_inherits_no_environment() -> None:
    assert b"HOME" not in (await run(["env"], b"", 1000)).output
