"""Walls around a stdio upstream: its command, put into a sandbox just before it starts.

A command enters, the command that runs it inside leaves. The program's own
installation can be read in there without being named; everything else that the
child needs of this machine's files is named by the configuration.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mcp_gateway.errors import InvalidParams, UpstreamStartFailed
from mcp_gateway.sandbox import Backend, Limits, Network, Sandbox
from mcp_gateway.sandbox.choice import Verdict
from mcp_gateway.upstream.child import resolve_command
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher

SYSTEM: Final = (Path("/usr"), Path("/bin"), Path("/sbin"), Path("/lib"), Path("/lib64"))
"""What every sandbox shows by itself."""

Choose = Callable[[], Awaitable[Verdict]]
"""Gives the sandbox of this machine, or why there is none."""


@dataclass(frozen=True, slots=True)
class Walls:
    """What a child may reach through its walls. Sizes in bytes; `workdir` is the one folder it may change."""

    network: bool = True
    read: tuple[str, ...] = ()
    workdir: str | None = None
    memory_bytes: int = 1024 * 1024 * 1024
    pids: int = 256


class WalledDispatcher(StdioDispatcher):
    """A child process in a sandbox, which is chosen when the child is started.

    Entering raises UpstreamStartFailed when no sandbox works here.
    """

    def __init__(self, server: str, argv: Sequence[str], *, walls: Walls, choose: Choose, **rest: object) -> None:
        super().__init__(server, argv, **rest)  # type: ignore[arg-type]  # the same keywords, checked where it is made
        self._walls = walls
        self._choose = choose

    async def __aenter__(self) -> WalledDispatcher:
        self._argv = _wrapped(self.server, self._argv, self._env.get("PATH", ""), self._walls, await self._choose())
        await super().__aenter__()
        return self


def _wrapped(server: str, argv: Sequence[str], path: str, walls: Walls, verdict: Verdict) -> list[str]:
    if not isinstance(verdict, Sandbox):
        reason = verdict if isinstance(verdict, str) else verdict.report
        raise UpstreamStartFailed(f"upstream {server!r} asks for a sandbox: {reason}", server=server)
    readable = list(map(os.path.realpath, walls.read))
    if verdict.backend is Backend.CONTAINER:
        program = argv[0]  # one of the image, which has its own installation with it
    else:
        program = resolve_command(argv[0], path, server=server)
        readable = [*installation(Path(program)), *readable]
    limits = Limits(cpu_s=None, wall_s=None, output_bytes=None, memory_bytes=walls.memory_bytes, pids=walls.pids)
    try:
        return verdict.wrap_command(
            [program, *argv[1:]],
            workdir=None if walls.workdir is None else os.path.realpath(walls.workdir),
            network=Network.HOST if walls.network else Network.NONE,
            read_only=tuple(dict.fromkeys(readable)),
            limits=limits,
        )
    except InvalidParams as refused:
        raise UpstreamStartFailed(f"upstream {server!r} cannot start: {refused.message}", server=server) from None


def installation(program: Path) -> Iterator[str]:
    """The folders a program is installed in: its prefix, that of what it links to, and a venv's own Python's."""
    for place in dict.fromkeys([program, Path(os.path.realpath(program))]):
        prefix = place.parent.parent if place.parent.name == "bin" else place.parent
        yield from _outside_system(prefix)
        yield from _outside_system(_home_of_venv(prefix))


def _home_of_venv(prefix: Path) -> Path | None:
    """The prefix of the Python that a virtual environment stands on (PEP 405)."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    homes = [value.strip() for key, _, value in (line.partition("=") for line in lines) if key.strip() == "home"]
    return Path(os.path.realpath(homes[0])).parent if homes else None


def _outside_system(prefix: Path | None) -> Iterator[str]:
    if prefix is None:
        return
    real = Path(os.path.realpath(prefix))
    if real != Path("/") and not any(real.is_relative_to(system) for system in SYSTEM):
        yield str(real)
