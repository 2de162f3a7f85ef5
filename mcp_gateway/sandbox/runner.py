"""The gateway's end of a run: starts a supervisor, hands it the request, and waits for its report.

The supervisor gets an empty environment and three pipes, nothing else. This module enforces no limit: it only makes
sure that the supervisor, and with it the run, ends when the waiting ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from mcp_gateway.errors import InternalError, InvalidParams

from .model import Backend, Engine, Limits, Network, Outcome, Progress, Request
from .supervisor.spec import CAPTURE, DIRECT, RELAY

_SUPERVISOR = Path(__file__).parent / "supervisor" / "main.py"
_MAX_LINE_BYTES = 1 << 16
_STOP_WITHIN_S = 5.0
"""A supervisor kills within 3 s what can be killed; then it is killed itself."""
_SYSTEM = tuple(Path(p) for p in ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys"))
_NOT_IN_MOUNTS = frozenset(',"\n\r')
"""Engines read `--mount` as comma-separated values."""
_SYSTEM_TREES = (*_SYSTEM, Path("/usr"), Path("/var"))


class SandboxFailed(InternalError):
    """The walls could not be built, so the program did not run."""


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A backend that works here.

    bwrap: the absolute path of bubblewrap. engine: that of containers. private: folders that no run may have as, in or
    below its working directory (configuration, state, cache). use_cgroup: False does without control groups even where
    they could be made.
    """

    backend: Backend
    bwrap: str = ""
    private: tuple[Path, ...] = ()
    use_cgroup: bool = True
    engine: Engine | None = None

    async def run(
        self,
        request: Request,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Outcome:
        """Run one program to its end, or to the first limit. Cancelling kills all of it before this returns.

        Raises:
            InvalidParams: the request names a program, a path or an environment that cannot be used.
            SandboxFailed: the sandbox could not be built.
        """
        spec = self._spec(request, limits, CAPTURE)
        head = json.dumps(spec | {"stdin_bytes": len(request.stdin)}).encode() + b"\n"
        command = [sys.executable, "-I", "-S", str(_SUPERVISOR), "-"]
        process = await anyio.open_process(command, env={}, stderr=subprocess.PIPE, start_new_session=True)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_send, process, head + request.stdin)
                answer = await _report(process, on_progress)
        finally:
            with anyio.CancelScope(shield=True):
                await _stop(process)
        return _outcome(answer)

    def wrap_command(
        self,
        argv: Sequence[str],
        *,
        workdir: str | None = None,
        network: Network = Network.NONE,
        read_only: Sequence[str] = (),
        limits: Limits | None = None,
    ) -> list[str]:
        """The command that runs `argv` inside, with the pipes that it is started with.

        Whoever starts it gives it the program's environment as its own (it does not appear in the command line), and
        ends the run by SIGTERM. Without `limits` time, processor and output are unbounded.
        """
        limits = limits or Limits(cpu_s=None, wall_s=None, output_bytes=None)
        request = Request(tuple(argv), workdir=workdir, network=network, read_only=tuple(read_only))
        return self._command(request, limits, DIRECT)

    def relay_command(self, request: Request, limits: Limits) -> list[str]:
        """As `wrap_command`, for the command line: streams are copied, so that the output limit holds."""
        return self._command(request, limits, RELAY)

    def _command(self, request: Request, limits: Limits, mode: str) -> list[str]:
        spec = json.dumps(self._spec(request, limits, mode))
        return [sys.executable, "-I", "-S", str(_SUPERVISOR), spec]

    def _spec(self, request: Request, limits: Limits, mode: str) -> dict[str, Any]:
        _check_words(request)
        for path in (request.workdir, *request.read_only):
            if path is not None:
                _check_real(path)
                self._check_mountable(path)
        if request.workdir is not None:
            self._check_workdir(Path(request.workdir))
        return {
            "mode": mode,
            "backend": self.backend.value,
            "argv": list(request.argv),
            "env": dict(request.env),
            "workdir": request.workdir,
            "read_only": list(request.read_only),
            "network": request.network is Network.HOST,
            "limits": asdict(limits),
            "bwrap": self.bwrap,
            "use_cgroup": self.use_cgroup,
            "engine": None if self.engine is None else asdict(self.engine),
        }

    def _check_mountable(self, path: str) -> None:
        if self.backend is Backend.CONTAINER and set(path) & _NOT_IN_MOUNTS:
            raise InvalidParams("a container takes no folder with a comma, a quote or a line break in its name")

    def _check_workdir(self, workdir: Path) -> None:
        if not workdir.is_dir():
            raise InvalidParams("the working directory is not a folder")
        private = [folder.resolve() for folder in self.private]
        ours = any(workdir.is_relative_to(folder) or folder.is_relative_to(workdir) for folder in private)
        above_system = any(folder.is_relative_to(workdir) for folder in _SYSTEM_TREES)
        in_system = any(workdir.is_relative_to(folder) for folder in (*_SYSTEM, Path("/usr")))
        if ours or above_system or in_system:
            raise InvalidParams("the working directory may not hold, or lie in, the system's or the gateway's folders")


def _check_words(request: Request) -> None:
    words = [*request.argv, *request.env.keys(), *request.env.values()]
    if not request.argv or not request.argv[0]:
        raise InvalidParams("there is no program to run")
    if any("\0" in word for word in words) or any("=" in name or not name for name in request.env):
        raise InvalidParams("arguments and environment may not hold NUL, nor names '='")
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise InvalidParams("arguments and environment must be valid Unicode") from None


def _check_real(path: str) -> None:
    """Absolute, present and free of links: what is checked is what will be mounted."""
    if not os.path.isabs(path) or os.path.realpath(path) != path or not os.path.exists(path):
        raise InvalidParams("paths for a sandbox must be absolute, exist, and go through no symbolic link")


async def _send(process: Process, data: bytes) -> None:
    assert process.stdin is not None
    # The supervisor may have ended first; its report says why.
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        await process.stdin.send(data)


async def _report(process: Process, on_progress: Callable[[Progress], None] | None) -> dict[str, Any]:
    assert process.stdout is not None
    stream = BufferedByteReceiveStream(process.stdout)
    try:
        while True:
            message: dict[str, Any] = json.loads(await stream.receive_until(b"\n", _MAX_LINE_BYTES))
            if "progress" not in message:
                break
            if on_progress is not None:
                on_progress(Progress(*message["progress"]))
        return message | {"streams": [await stream.receive_exactly(size) for size in message.get("sizes", ())]}
    except (anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError):
        raise SandboxFailed(f"the sandbox's supervisor ended without a report: {await _complaint(process)}") from None


async def _complaint(process: Process) -> str:
    assert process.stderr is not None
    try:
        text = (await process.stderr.receive(4096)).decode("utf-8", "replace")
    except anyio.EndOfStream:
        return "no reason given"
    return text.strip().rpartition("\n")[2]


async def _stop(process: Process) -> None:
    """Closing its input tells the supervisor to end the run."""
    assert process.stdin is not None
    await process.stdin.aclose()
    with anyio.move_on_after(_STOP_WITHIN_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()


def _outcome(answer: dict[str, Any]) -> Outcome:
    if "failed" in answer:
        raise SandboxFailed(f"the sandbox could not be built: {answer['failed']}")
    stdout, stderr = answer["streams"]
    values = answer["outcome"]
    return Outcome(**(values | {"backend": Backend(values["backend"])}), stdout=stdout, stderr=stderr)
