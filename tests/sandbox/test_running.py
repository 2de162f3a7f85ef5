"""What has to work inside every sandbox: ordinary programs in ordinary ways."""

# ruff: noqa: E501 - a table, one row a line
from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, replace

import pytest
from mcp_gateway.sandbox import Request

from tests.support import require

from .ground import LIMITS, SYSTEM_PYTHON, Result, Subject, ground_for

ROOMY = replace(LIMITS, memory_bytes=512 << 20, wall_s=20.0, cpu_s=15.0)


@dataclass(frozen=True, slots=True)
class Work:
    name: str
    argv: tuple[str, ...]
    stdout: bytes
    exit_code: int = 0
    stdin: bytes = b""

    def __str__(self) -> str:
        return self.name


def sh(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


_C = 'int puts(const char *); int main(void) { return puts("built") < 0; }'
_GIT = "git -c user.name=a -c user.email=a@b.c"
MUST_WORK = [
    Work("a program runs", ("echo", "hello"), b"hello\n"),
    Work("exit status", sh("exit 42"), b"", exit_code=42),
    Work("death by a signal", sh("kill -TERM $$"), b"", exit_code=143),
    Work("a missing program", ("no-such-program",), b"", exit_code=127),
    Work("standard input", ("cat",), b"given\n", stdin=b"given\n"),
    Work("the working folder is writable", sh("echo x > f && mkdir d && mv f d/g && cat d/g"), b"x\n"),
    Work("temporary files", sh('f=$(mktemp) && echo x > "$f" && cat "$f"'), b"x\n"),
    Work("pipes and errors", sh("seq 5 | tail -n 2; echo bad >&2"), b"4\n5\n"),
    Work("threads", (SYSTEM_PYTHON, "-c", "import threading as t; x = t.Thread(target=print, args=(1,)); x.start()"), b"1\n"),
    Work("arguments stay as they are", ("printf", "%s|", "a b", "$HOME", "*", "--", "'"), b"a b|$HOME|*|--|'|"),
    Work("a hundred MiB", (SYSTEM_PYTHON, "-c", "x = b'x' * (100 << 20); print(len(x))"), b"104857600\n"),
    Work("subprocesses", (SYSTEM_PYTHON, "-c", "import subprocess as s; print(s.check_output(['echo', 'x']))"), b"b'x\\n'\n"),
    Work("an event loop", (SYSTEM_PYTHON, "-c", "import asyncio; asyncio.run(asyncio.sleep(0)); print(1)"), b"1\n"),
    Work("a hundred KiB of input", ("wc", "-c"), b"102400\n", stdin=b"x" * 102_400),
    Work("git", sh(f"git init -q r && cd r && touch f && git add f && {_GIT} commit -qm m && git log --format=%s"), b"m\n"),
]  # fmt: skip


@pytest.mark.parametrize("work", MUST_WORK, ids=str)
async def test_ordinary_program_works(work: Work, any_subject: Subject, table: Counter[tuple[str, str]]) -> None:
    require(work.name != "git" or shutil.which("git") is not None, "git is not installed")
    with ground_for(any_subject) as ground:
        request = Request(work.argv, stdin=work.stdin, workdir=str(ground.workdir))
        result = await any_subject.run(request, ROOMY)
    assert (result.stdout, result.exit_code) == (work.stdout, work.exit_code), result
    assert result.killed_by is None
    table[any_subject.name, "works"] += 1


async def test_scratch_folder_is_there_when_none_is_named(any_subject: Subject) -> None:
    result = await any_subject.run(Request(sh("ls; echo x > f && cat f && cd && echo y > g && cat g")))
    assert (result.stdout, result.exit_code) == (b"x\ny\n", 0), result


async def test_program_is_compiled_and_run(any_subject: Subject) -> None:
    require(shutil.which("gcc") is not None, "gcc is not installed")
    result: Result = await any_subject.run(
        Request(sh("gcc -x c - -o p && (test -x p && ./p || echo built)"), stdin=_C.encode()), ROOMY
    )
    assert result.stdout == b"built\n", result


async def test_argument_that_looks_like_an_option_is_no_option(any_subject: Subject) -> None:
    result = await any_subject.run(Request(("--bind", "/", "/", "sh", "-c", "echo ran")))
    assert (result.exit_code, result.stdout) == (127, b""), result


async def test_files_of_the_working_folder_belong_to_its_owner_afterwards(any_subject: Subject) -> None:
    with ground_for(any_subject) as ground:
        before = ground.workdir / "before"
        before.write_text("old\n")
        before.chmod(0o666)
        script = "echo new >> before; echo x > after; chmod u+s after"
        result = await any_subject.run(Request(sh(script), workdir=str(ground.workdir)))
        owners = {path.lstat().st_uid for path in ground.workdir.glob("[ab]*")} - {before.stat().st_uid}
        assert result.exit_code == 0, result
        assert before.read_text() == "old\nnew\n"
        assert owners <= {any_subject.owner}
        assert any_subject.owner != 0 or not (ground.workdir / "after").stat().st_mode & 0o4000
