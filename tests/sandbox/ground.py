"""What hostile programs are let loose on: a stand-in for the gateway with everything that it must keep.

And five ways to run a program (two backends, as root and as an ordinary user, and a container as root), plus a sixth
with no sandbox, which checks the probes.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
from mcp_gateway.sandbox import Backend, Limits, Request, Sandbox
from mcp_gateway.sandbox.supervisor import seccomp

ORDINARY = 65_534
SYSTEM_PYTHON = "/usr/bin/python3"
MEMORY_BYTES = 256 << 20
PIDS = 32
DISK_BYTES = 96 << 20
OUTPUT_BYTES = 256 << 10
OPEN_FILES = 200
WALL_S = 4.0
LIMITS = Limits(
    cpu_s=1.0,
    wall_s=WALL_S,
    memory_bytes=MEMORY_BYTES,
    pids=PIDS,
    open_files=OPEN_FILES,
    file_bytes=DISK_BYTES,
    disk_bytes=DISK_BYTES,
    output_bytes=OUTPUT_BYTES,
)
_ALONE_WITHIN_S = 60.0
_SUPERVISOR = Path(sys.modules[Sandbox.__module__].__file__ or "").parent / "supervisor"


@dataclass(frozen=True, slots=True)
class Result:
    exit_code: int
    stdout: bytes
    stderr: bytes
    killed_by: str | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Subject:
    """One way to run a program. `sandbox` None is no sandbox; `uid` None is our own user."""

    name: str
    sandbox: Sandbox | None
    uid: int | None = None
    supervisor: Path = _SUPERVISOR

    async def run(self, request: Request, limits: Limits = LIMITS, *, leak: Sequence[int] = ()) -> Result:
        """`leak`: descriptors that a careless caller leaves open to the child."""
        started_s = time.monotonic()
        if self.sandbox is not None and self.uid is None:
            outcome = await self.sandbox.run(request, limits)
            return Result(
                outcome.exit_code, outcome.stdout, outcome.stderr, outcome.killed_by, time.monotonic() - started_s
            )
        command = list(request.argv) if self.sandbox is None else self._as_user(request, limits)
        env: dict[str, str] | None = None if self.sandbox is None else {}
        with anyio.fail_after(_ALONE_WITHIN_S):
            done = await anyio.run_process(
                command,
                input=request.stdin,
                env=env,
                cwd=request.workdir if self.sandbox is None else "/",
                check=False,
                pass_fds=leak,
                start_new_session=True,
                user=self.uid,
                group=self.uid,
                extra_groups=None if self.uid is None else [],
            )
        _, mark, killed_by = done.stderr.rpartition(b"sandbox: killed_by=")
        return Result(
            done.returncode,
            done.stdout,
            done.stderr,
            killed_by.strip().decode() if mark else None,
            time.monotonic() - started_s,
        )

    def _as_user(self, request: Request, limits: Limits) -> list[str]:
        """The command line's way, with an interpreter and a supervisor that this user can read."""
        assert self.sandbox is not None
        command = self.sandbox.relay_command(request, limits)
        return [SYSTEM_PYTHON, "-I", "-S", str(self.supervisor / "main.py"), command[-1]]

    @property
    def owner(self) -> int:
        return os.geteuid() if self.uid is None else self.uid


@contextmanager
def as_ordinary_user(sandbox: Sandbox) -> Iterator[Subject]:
    """The same backend for somebody without privileges; for ourselves when we are that already."""
    name = f"{sandbox.backend}, ordinary user"
    if os.geteuid() != 0:
        yield Subject(name, sandbox)
        return
    with tempfile.TemporaryDirectory(prefix="mcp-gateway-test-") as folder:
        copied = Path(shutil.copytree(_SUPERVISOR, Path(folder) / "supervisor"))
        subprocess.run([SYSTEM_PYTHON, "-m", "compileall", "-q", copied], check=True)
        os.chmod(folder, 0o755)
        yield Subject(name, replace(sandbox, use_cgroup=False), ORDINARY, copied)


@dataclass(slots=True)
class Ground:
    secret: bytes
    private: Path
    config: Path
    temp_file: Path
    workdir: Path
    stand_in: subprocess.Popen[bytes]
    listeners: dict[str, socket.socket]
    shm_key: int
    runner: str
    mark: str = field(default_factory=lambda: f"mcp-gateway-mark-{secrets.token_hex(8)}")

    def targets(self) -> str:
        """What the probes know as `G`."""
        port = {name: s.getsockname()[1] for name, s in self.listeners.items() if s.family != socket.AF_UNIX}
        return json.dumps(
            {
                "pid": self.stand_in.pid,
                "private": str(self.private),
                "config": str(self.config),
                "temp_file": str(self.temp_file),
                "mark": self.mark,
                "system_marks": [str(path) for path in self._system_marks()],
                "runner": self.runner,
                "unix": str(self.temp_file.parent / "socket"),
                "abstract": self.mark_of_socket,
                "shm_key": self.shm_key,
                "syscalls": seccomp.numbers(),
                **port,
            }
        )

    @property
    def mark_of_socket(self) -> str:
        name = self.listeners["abstract"].getsockname()
        return bytes(name)[1:].decode()

    def _system_marks(self) -> list[Path]:
        return [
            Path(folder) / self.mark for folder in ("/", "/usr", "/usr/bin", "/etc", "/var", "/opt", "/root", "/run")
        ]

    def marks_found(self) -> bool:
        """Anything written outside; it is taken away again."""
        folders = [Path("/tmp"), Path("/dev/shm"), self.private]
        found = [p for p in (*self._system_marks(), *(f / self.mark for f in folders)) if p.exists()]
        for path in found:
            path.unlink()
        return bool(found)

    def config_touched(self) -> bool:
        status = self.config.stat()
        return status.st_mode & 0o777 != 0o600 or status.st_mtime < 1000

    def survivor_found(self) -> bool:
        """A process that carries the mark; it is ended."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0] == b"python3" and self.mark.encode() in words:
                found.append(int(folder.name))
        for pid in found:
            os.kill(pid, 9)
        return bool(found)

    def was_reached(self) -> bool:
        for listener in self.listeners.values():
            try:
                if listener.type == socket.SOCK_DGRAM:
                    listener.recv(10)
                else:
                    listener.accept()[0].close()
            except BlockingIOError:
                continue
            return True
        return False


@contextmanager
def ground_for(subject: Subject) -> Iterator[Ground]:
    """A stand-in owned by the subject's user; everything is taken down afterwards."""
    secret = secrets.token_hex(16)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mcp-gateway-test-")))
        folder.chmod(0o755)
        private, workdir = folder / "private", folder / "work"
        for path in (private, workdir):
            path.mkdir(mode=0o700)
        config, temp_file = private / "config", folder / "temp"
        for path in (config, temp_file):
            path.write_text(secret)
        config.chmod(0o600)
        (workdir / "link").symlink_to(config)
        (workdir / "outside").symlink_to(private)
        listeners = {name: stack.enter_context(s) for name, s in _listeners(folder, secret[:8]).items()}
        for path in (private, workdir, config):
            os.chown(path, subject.owner, -1)
        uid = None if subject.uid is None else {"user": subject.uid, "group": subject.uid, "extra_groups": []}
        stand_in = stack.enter_context(_stand_in(secret, private, uid or {}))
        shm_key = int(secret[:7], 16)
        stack.enter_context(_shared_memory(shm_key))
        runner = (
            subject.sandbox.bwrap if subject.sandbox and subject.sandbox.bwrap else str(subject.supervisor / "main.py")
        )
        yield Ground(secret.encode(), private, config, temp_file, workdir, stand_in, listeners, shm_key, runner)


def _listeners(folder: Path, name: str) -> dict[str, socket.socket]:
    unix, abstract, udp = (
        socket.socket(socket.AF_UNIX),
        socket.socket(socket.AF_UNIX),
        socket.socket(type=socket.SOCK_DGRAM),
    )
    unix.bind(str(folder / "socket"))
    os.chmod(folder / "socket", 0o777)
    abstract.bind(f"\0mcp-gateway-test-{name}")
    udp.bind(("127.0.0.1", 0))
    for listener in (unix, abstract):
        listener.listen()
    port6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
    made = {
        "port4": socket.create_server(("127.0.0.1", 0)),
        "port6": port6,
        "udp": udp,
        "unix": unix,
        "abstract": abstract,
    }
    for listener in made.values():
        listener.setblocking(False)
    return made


@contextmanager
def _stand_in(secret: str, private: Path, user: dict[str, object]) -> Iterator[subprocess.Popen[bytes]]:
    code = f"import sys; kept = open({str(private / 'config')!r}); sys.stdin.read()"
    command = [SYSTEM_PYTHON, "-I", "-S", "-c", code, secret]
    process: subprocess.Popen[bytes] = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        env={"SECRET": secret},
        cwd=private,
        **user,  # type: ignore[call-overload] # as a dict
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _shared_memory(key: int) -> Iterator[None]:
    libc = ctypes.CDLL(None)
    segment = libc.shmget(key, 4096, 0o1666)
    assert segment >= 0
    try:
        yield
    finally:
        libc.shmctl(segment, 0, None)


BACKENDS = (Backend.BUBBLEWRAP, Backend.LANDLOCK)
