"""The words of this room: limits, a request, its outcome, and why there may be no sandbox at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from .supervisor.spec import BUBBLEWRAP, CONTAINER, LANDLOCK

MIB = 1 << 20

Killed = Literal["wall", "cpu", "memory", "pids", "output", "disk"]


class Backend(StrEnum):
    BUBBLEWRAP = BUBBLEWRAP
    LANDLOCK = LANDLOCK
    CONTAINER = CONTAINER


class Network(StrEnum):
    """HOST is the host's own network, loopback included: what listens there without a key can be reached."""

    NONE = "none"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use. `None` switches a limit off; only long-lived children do that.

    memory_bytes, pids, cpu_s and disk_bytes are for the whole run, open_files for a process, file_bytes for a file,
    output_bytes for each of the two streams. Passing one ends the run, but open_files and file_bytes, which only make
    the call that would pass them fail. The defaults are our choice, for two cores.
    """

    cpu_s: float | None = 10.0
    wall_s: float | None = 30.0
    memory_bytes: int = 512 * MIB
    pids: int = 64
    open_files: int = 256
    file_bytes: int = 64 * MIB
    disk_bytes: int = 256 * MIB
    output_bytes: int | None = MIB


@dataclass(frozen=True, slots=True)
class Container:
    """The container to use, as somebody asks for it.

    image: `name@sha256:...` or `sha256:...`, so that it is the same one every time; programs are those of the image.
    engine: `docker`, `podman`, an absolute path, or `auto` for the first of the two that is installed.
    options: further words for the engine's `run`, which win over ours.
    """

    image: str
    engine: str = "auto"
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that was found; `supervisor.spec.Engine` has the same fields."""

    path: str
    is_podman: bool
    is_rootless: bool
    image: str
    options: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """A program to run. `argv` is executed as it is, never by a shell.

    workdir: an absolute, real path that the program may change; None gives it an empty folder that is thrown away.
    env: added to PATH, HOME, TMPDIR and LANG; nothing else is inherited.
    read_only: further absolute paths that the program may read and execute.
    """

    argv: tuple[str, ...]
    stdin: bytes = b""
    workdir: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    network: Network = Network.NONE
    read_only: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `exit_code` counts as a shell does: 128 + n for a signal, 127 for a program that is not there.

    signal: inferred from an exit code above 128. killed_by: the limit that ended the run. truncated: a stream was
    longer than what is here.
    """

    exit_code: int
    signal: int | None
    stdout: bytes
    stderr: bytes
    truncated: bool
    duration_ms: int
    killed_by: Killed | None
    backend: Backend


@dataclass(frozen=True, slots=True)
class Progress:
    """Told about once a second while a run lasts."""

    elapsed_ms: int
    stdout_bytes: int
    stderr_bytes: int


@dataclass(frozen=True, slots=True)
class Probe:
    """One self-test: `found` says what was seen when it did not hold."""

    name: str
    holds: bool
    found: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one backend: `reason` and `fix` are empty when it works."""

    backend: Backend
    probes: tuple[Probe, ...] = ()
    reason: str = ""
    fix: str = ""

    @property
    def works(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No backend works here. `report` is for the operator, one line per backend."""

    attempts: tuple[Attempt, ...]

    @property
    def report(self) -> str:
        lines = [f"{a.backend}: {a.reason}" + (f"; {a.fix}" if a.fix else "") for a in self.attempts]
        return "no sandbox works here\n" + "\n".join(lines)
