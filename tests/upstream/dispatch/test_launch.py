"""Starting a program: what it gets, and how a start that fails is told."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time
from pathlib import Path

import anyio
import pytest
from mcp_gateway.errors import UpstreamStartFailed
from mcp_gateway.upstream.dispatch.launch import explain
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher

from tests.support import require
from tests.upstream.dispatch.pipes import unheard, until

ENV = {"PATH": os.defpath}


def program(path: Path, text: str, mode: int = 0o755) -> str:
    path.write_text(text)
    path.chmod(mode)
    return str(path)


async def start_failure(argv: list[str], cwd: str | None = None, env: dict[str, str] | None = None) -> str:
    began_s = time.monotonic()
    with pytest.raises(UpstreamStartFailed) as caught:
        async with StdioDispatcher("x", argv, env=env or ENV, cwd=cwd, listener=unheard):
            pass
    assert time.monotonic() - began_s < 1.0
    assert caught.value.server == "x"
    return caught.value.message


async def test_a_missing_command_is_told_with_a_hint() -> None:
    message = await start_failure(["npx"], env={"PATH": "/nonexistent"})
    assert message == "upstream 'x' cannot start: 'npx' is not on PATH; install Node.js or give the full path"


async def test_what_the_system_refuses_to_run_is_told_by_reason_and_without_a_path(tmp_path: Path) -> None:
    no_shebang = program(tmp_path / "plain", "no shebang here")
    binary = program(tmp_path / "binary", "\x00\x01\x02")
    lost = program(tmp_path / "lost", "#!/nonexistent/interpreter\n")
    locked = program(tmp_path / "locked", "#!/bin/sh\n", mode=stat.S_IRUSR)
    reasons = {
        no_shebang: "'plain': it is not a program for this machine, or a script without a #! line",
        binary: "'binary': it is not a program for this machine, or a script without a #! line",
        lost: "'lost': the interpreter named in its first line does not exist",
        locked: "'locked' is not executable; chmod +x it",
        str(tmp_path): f"{tmp_path.name!r} is a folder; give the path of a program",
        str(tmp_path / "none"): "'none' does not exist at the given path; check the path",
    }
    for path, reason in reasons.items():
        assert await start_failure([path]) == f"upstream 'x' cannot start: {reason}"


async def test_other_reasons_are_told_too() -> None:
    too_long = ["x" * 100_000] * 50
    assert "too long" in await start_failure([sys.executable, *too_long])
    assert "NUL" in await start_failure([sys.executable, "a\0b"])
    assert "not Unicode" in await start_failure([sys.executable, "\ud800"])
    assert "working folder" in await start_failure([sys.executable], cwd="/nonexistent")


async def test_no_descriptors_left_is_a_failed_start(tmp_path: Path) -> None:
    held = []
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
            require(len(held) <= 200_000, "a limit of descriptors; set one with ulimit -n")
    except OSError:
        message = await start_failure([sys.executable])
    finally:
        for fd in held:
            os.close(fd)
    assert "too many files open" in message


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EIO])
def test_a_system_at_its_limit_is_a_failed_start(number: int) -> None:
    failure = explain("x", "/home/me/bin/tool", OSError(number, os.strerror(number)))
    assert failure.message.startswith("upstream 'x' cannot start: 'tool': ")
    assert "/home" not in failure.message


async def test_a_relative_command_is_taken_from_its_folder(tmp_path: Path) -> None:
    program(tmp_path / "run.sh", "#!/bin/sh\necho started >&2\nexec cat\n")
    async with StdioDispatcher("x", ["./run.sh"], env=ENV, cwd=str(tmp_path), listener=unheard) as dispatcher:
        await until(lambda: "started" in dispatcher.stderr_tail)


async def test_a_failed_start_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    plain = program(tmp_path / "plain", "no shebang")
    await start_failure([plain])
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await start_failure([plain])
        await anyio.lowlevel.checkpoint()
    assert len(os.listdir("/proc/self/fd")) == before
