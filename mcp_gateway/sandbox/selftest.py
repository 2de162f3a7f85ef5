"""Twelve probes that a backend has to hold before it is trusted, tried on a stand-in for the gateway.

The verdict is taken from outside wherever possible: a listener, a file, a living process. The programs are shell
scripts, since a shell is all that can be counted on inside.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from .model import MIB, Limits, Outcome, Probe, Request
from .runner import Sandbox

_LIMITS = Limits(wall_s=5.0, memory_bytes=64 * MIB, pids=24, disk_bytes=16 * MIB, output_bytes=MIB // 4)
_DEAF_WALL_S = 0.3
_SEEN_WITHIN_S = 5.0
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class _Ground:
    """The stand-in and what it must keep: a process with a secret in its environment, a file, a folder, a listener."""

    sandbox: Sandbox
    secret: str
    folder: Path
    stand_in: subprocess.Popen[bytes]
    listener: socket.socket

    async def sh(self, script: str, limits: Limits = _LIMITS) -> Outcome:
        return await self.sandbox.run(Request(("/bin/sh", "-c", script)), limits)

    def leaked(self, outcome: Outcome) -> str:
        return "the secret was read" if self.secret.encode() in outcome.stdout + outcome.stderr else ""


_Test = Callable[[_Ground], Awaitable[str]]


async def probe(sandbox: Sandbox) -> tuple[Probe, ...]:
    """All twelve, two at a time. Raises SandboxFailed when the sandbox cannot even be built."""
    found: dict[str, str] = {}
    width = anyio.CapacityLimiter(_AT_ONCE)
    with _ground(sandbox) as ground:
        # Alone and first: a sandbox that cannot be built shall say so once.
        found["runs a program"] = await _runs(ground)

        async def one(name: str, test: _Test) -> None:
            async with width:
                found[name] = await test(ground)

        async with anyio.create_task_group() as tasks:
            for name, test in _TESTS.items():
                tasks.start_soon(one, name, test)
    return tuple(Probe(name, not found[name], found[name]) for name in ("runs a program", *_TESTS))


@contextmanager
def _ground(sandbox: Sandbox) -> Iterator[_Ground]:
    secret = secrets.token_hex(16)
    wait = "import sys; sys.stdin.read()"
    with (
        tempfile.TemporaryDirectory(prefix="mcp-gateway-probe-") as name,
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-I", "-S", "-c", wait], stdin=subprocess.PIPE, env={"SECRET": secret}
        ) as stand_in,
    ):
        folder = Path(name)
        (folder / "secret").write_text(secret)
        (folder / "secret").chmod(0o600)
        listener.setblocking(False)
        try:
            yield _Ground(sandbox, secret, folder, stand_in, listener)
        finally:
            stand_in.kill()


async def _runs(ground: _Ground) -> str:
    outcome = await ground.sh("echo x > file && cat file && exit 7")
    return "" if (outcome.exit_code, outcome.stdout) == (7, b"x\n") else f"exit code {outcome.exit_code}"


async def _secret_file(ground: _Ground) -> str:
    return ground.leaked(await ground.sh(f"cat {ground.folder}/secret; cp {ground.folder}/secret x && cat x"))


async def _environment(ground: _Ground) -> str:
    return ground.leaked(await ground.sh(f"env; cat /proc/{ground.stand_in.pid}/environ /proc/[0-9]*/environ"))


async def _first_process(ground: _Ground) -> str:
    """A sandbox's own process 1 must not show the gateway's environment: it may hold nothing beyond the program's."""
    own = set(os.environ.values())
    outcome = await ground.sh("cat /proc/1/environ /proc/$PPID/environ | tr '\\0' '\\n'")
    shown = {line.partition("=")[2] for line in outcome.stdout.decode("utf-8", "replace").splitlines()}
    # The second line is what podman adds by itself.
    usual = {"/tmp", "C.UTF-8", "/", "", os.environ.get("PATH", "")}  # noqa: S108 - the sandbox's own
    usual |= {"xterm", "podman"}
    return "the gateway's environment was read" if shown & own - usual else ""


async def _network(ground: _Ground) -> str:
    port = ground.listener.getsockname()[1]
    code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
    await ground.sh(f'python3 -c "{code}" || bash -c "exec 3<>/dev/tcp/127.0.0.1/{port}"')
    try:
        ground.listener.accept()[0].close()
    except BlockingIOError:
        return ""
    return "the listener was reached"


async def _signals(ground: _Ground) -> str:
    outcome = await ground.sh(f"kill -9 {ground.stand_in.pid}; kill -9 $PPID; kill -9 -$PPID; echo survived")
    if ground.stand_in.poll() is not None:
        return "the stand-in was killed"
    return "" if outcome.backend is ground.sandbox.backend else "the supervisor was killed"


async def _writing(ground: _Ground) -> str:
    mark = f"mcp-gateway-{ground.secret}"
    outside = [ground.folder / mark, Path(tempfile.gettempdir()) / mark, Path("/dev/shm") / mark, Path("/usr") / mark]  # noqa: S108 - looked at
    await ground.sh("; ".join(f"echo x > {path}" for path in outside))
    written = [path for path in outside if path.exists()]
    for path in written:
        path.unlink()
    return f"wrote to {written[0].parent}" if written else ""


async def _processes(ground: _Ground) -> str:
    many = _LIMITS.pids * 3 // 2
    script = f"i=0; while [ $i -lt {many} ]; do sleep 3 & i=$((i+1)); done; echo all of them"
    return "all processes started" if b"all of them" in (await ground.sh(script)).stdout else ""


async def _memory(ground: _Ground) -> str:
    script = f'awk \'BEGIN {{ s = "x"; while (length(s) < {_LIMITS.memory_bytes * 3 // 2}) s = s s; print "had it" }}\''
    return "all memory was had" if b"had it" in (await ground.sh(script)).stdout else ""


async def _wall(ground: _Ground) -> str:
    outcome = await ground.sh("trap '' TERM INT HUP; sleep 3", replace(_LIMITS, wall_s=_DEAF_WALL_S))
    return "" if outcome.killed_by == "wall" else "outlived its time"


async def _output(ground: _Ground) -> str:
    outcome = await ground.sh("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")
    return "" if outcome.killed_by == "output" and outcome.truncated else "output was not bounded"


async def _kernel(ground: _Ground) -> str:
    """The program's status as the host sees it: a filter, no new privileges, not root, no capabilities."""
    mark = f"3.{int(ground.secret[:8], 16):010d}"
    status: dict[str, str] = {}
    with anyio.move_on_after(_SEEN_WITHIN_S):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ground.sandbox.run, Request(("sleep", mark)), _LIMITS)
            while not status:
                await anyio.sleep(0.01)
                status = await anyio.to_thread.run_sync(_status_of, b"sleep\0" + mark.encode() + b"\0")
            tasks.cancel_scope.cancel()
    wanted = {"Seccomp": "2", "NoNewPrivs": "1", "CapEff": "0" * 16, "CapPrm": "0" * 16}
    wrong = [name for name, value in wanted.items() if status.get(name) != value]
    if status and status["Uid"].split()[1] == "0":
        wrong.append("Uid")
    return f"not as it should be: {', '.join(wrong)}" if wrong else ""


def _status_of(command: bytes) -> dict[str, str]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes() == command:
                lines = (folder / "status").read_text().splitlines()
                return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        except OSError:
            continue
    return {}


_TESTS: dict[str, _Test] = {
    "secret file": _secret_file,
    "environment": _environment,
    "first process": _first_process,
    "network": _network,
    "signals": _signals,
    "writing outside": _writing,
    "processes": _processes,
    "memory": _memory,
    "time": _wall,
    "output": _output,
    "kernel": _kernel,
}
