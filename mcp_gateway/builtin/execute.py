"""`execute`: run a program in the sandbox.

A command, or code and its language, enters; what became of it leaves. Everything that confines is in `sandbox`; this
module only refuses, waits for a place, and reports progress.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import anyio.to_thread
from pydantic import BaseModel, Field, model_validator

from mcp_gateway.builtin.functions import Arguments, Builtin, Context, builtin
from mcp_gateway.builtin.roots import folder_below
from mcp_gateway.builtin.services import Services
from mcp_gateway.builtin.turns import Turns
from mcp_gateway.call import Sink
from mcp_gateway.config.parts import ExecuteTool
from mcp_gateway.errors import InvalidParams, SandboxUnavailable
from mcp_gateway.sandbox import Backend, Limits, Network, Outcome, Progress, Request, Sandbox, Unavailable
from mcp_gateway.sandbox.choice import SandboxChoice

MAX_CODE_CHARS = 100_000
"""Code becomes one argument of its interpreter, and Linux allows 128 KiB for one (execve(2), MAX_ARG_STRLEN)."""
MAX_STDIN_CHARS = 4 * 1024**2
MAX_ARGUMENTS = 1000

_SANDBOX_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where programs are in a sandbox that sees the system's folders; a container has its own."""

Word = Annotated[str, Field(max_length=MAX_CODE_CHARS)]


Language = Literal["python", "sh", "node"]
"""Languages whose interpreter takes a program as an argument."""

_INTERPRETERS: Mapping[Language, tuple[str, str]] = {
    "python": ("python3", "-c"),
    "sh": ("sh", "-c"),
    "node": ("node", "-e"),
}


class ExecuteArguments(Arguments):
    """One program: `argv`, or `code` in a `language`."""

    argv: list[Word] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_ARGUMENTS,
        description="Program and arguments, passed as they are: no shell, no wildcards, no variables.",
    )
    code: str | None = Field(default=None, min_length=1, max_length=MAX_CODE_CHARS, description="A program's text.")
    language: Language = Field(default="python", description="The language of code.")
    stdin: str = Field(default="", max_length=MAX_STDIN_CHARS, description="What the program reads.")
    workdir: str | None = Field(
        default=None,
        description="A folder that the program may change, if the configuration allows it; "
        "without it an empty one that is thrown away.",
    )
    timeout_s: float | None = Field(default=None, gt=0, description="Seconds after which it is killed.")

    @model_validator(mode="after")
    def _one_program(self) -> ExecuteArguments:
        if len([given for given in self._programs() if given is not None]) != 1:
            raise ValueError("give exactly one program: argv, or code and its language")
        if "language" in self.model_fields_set and self.code is None:
            raise ValueError("language belongs to code")
        return self

    def _programs(self) -> tuple[object, ...]:
        return self.argv, self.code

    def command(self, *, of_host: bool = True) -> list[str]:
        """Program and arguments. Raises InvalidParams when the language's interpreter is not installed on the host.

        of_host: False where programs are those of an image.
        """
        if self.argv is not None:
            return self.argv
        assert self.code is not None, "one of the two is there"
        program, flag = _INTERPRETERS[self.language]
        if of_host and shutil.which(program, path=_SANDBOX_PATH) is None:
            raise InvalidParams(f"language {self.language}: {program} is not installed in {_SANDBOX_PATH}")
        return [program, flag, self.code]


class ShellArguments(ExecuteArguments):
    """One program: `argv`, `code` in a `language`, or a `shell` text."""

    shell: str | None = Field(
        default=None, min_length=1, max_length=MAX_CODE_CHARS, description="A command line for /bin/sh."
    )

    def _programs(self) -> tuple[object, ...]:
        return self.argv, self.code, self.shell

    def command(self, *, of_host: bool = True) -> list[str]:
        return super().command(of_host=of_host) if self.shell is None else ["/bin/sh", "-c", self.shell]


class ExecuteResult(BaseModel):
    """How the run ended."""

    exit_code: int = Field(description="As a shell counts: 128 + n for a signal, 127 for a missing program.")
    signal: int | None
    stdout: str
    stderr: str
    truncated: bool = Field(description="True when a stream was longer than what is here.")
    duration_ms: int
    killed_by: str | None = Field(description="The limit that ended it: wall, cpu, memory, pids, output or disk.")
    backend: str


def execute_tool(settings: ExecuteTool, services: Services) -> Builtin:
    """The tool. With `shell` switched on it also takes a command line."""
    turns = Turns("execute", settings.concurrency, settings.queue)

    @builtin(
        title="Execute",
        readOnlyHint=False,
        destructiveHint=bool(settings.workdirs or settings.network),
        idempotentHint=False,
        openWorldHint=settings.network,
    )
    async def execute(arguments: ExecuteArguments, context: Context) -> ExecuteResult:
        """Run a program in a sandbox: `argv`, or `code` in python, sh or node.

        It sees the system's programs and an empty folder that is thrown away, and has no network unless that is
        configured. Limits on time, memory, processes and output end it; `killed_by` says which.
        """
        wall_s = _wall_s(arguments.timeout_s, settings.timeout)
        workdir = await _workdir(arguments.workdir, settings)
        sandbox = await _sandbox(services.sandbox)
        command = arguments.command(of_host=sandbox.backend is not Backend.CONTAINER)
        deadline_monotonic_s = time.monotonic() + (context.call.deadline_s or float("inf"))
        async with turns.turn(context.call.deadline_s or wall_s):
            request = Request(
                tuple(command),
                stdin=arguments.stdin.encode(),
                workdir=workdir,
                network=Network.HOST if settings.network else Network.NONE,
            )
            limits = _limits(settings, min(wall_s, max(0.1, deadline_monotonic_s - time.monotonic())))
            return _result(await sandbox.run(request, limits, partial(_tell, context.call.sink)))

    return replace(execute, arguments=ShellArguments) if settings.shell else execute


async def _sandbox(choice: SandboxChoice) -> Sandbox:
    verdict = await choice.verdict()
    if isinstance(verdict, Sandbox):
        return verdict
    reason = verdict.report if isinstance(verdict, Unavailable) else verdict
    raise SandboxUnavailable(f"nothing was executed: {reason}")


async def _workdir(wanted: str | None, settings: ExecuteTool) -> str | None:
    if wanted is None:
        return None
    if not settings.workdirs:
        raise InvalidParams("workdir: no folder is allowed; list some under tools.execute.workdirs")
    folder = await anyio.to_thread.run_sync(folder_below, wanted, settings.workdirs, "tools.execute.workdirs")
    return str(folder)


def _wall_s(wanted_s: float | None, longest_s: float) -> float:
    if wanted_s is not None and wanted_s > longest_s:
        raise InvalidParams(f"timeout_s: at most {longest_s:g} here (tools.execute.timeout)")
    return wanted_s or longest_s


def _limits(settings: ExecuteTool, wall_s: float) -> Limits:
    return Limits(
        wall_s=wall_s,
        cpu_s=settings.cpu,
        memory_bytes=settings.memory,
        pids=settings.processes,
        output_bytes=settings.output,
    )


def _tell(sink: Sink, progress: Progress) -> None:
    if sink.token is None:
        return
    seconds = progress.elapsed_ms / 1000
    written = progress.stdout_bytes + progress.stderr_bytes
    message = f"running for {seconds:.0f} s, {written} bytes of output"
    sink.notify("notifications/progress", {"progress": seconds, "message": message})


def _result(outcome: Outcome) -> ExecuteResult:
    return ExecuteResult(
        exit_code=outcome.exit_code,
        signal=outcome.signal,
        stdout=outcome.stdout.decode("utf-8", "replace"),
        stderr=outcome.stderr.decode("utf-8", "replace"),
        truncated=outcome.truncated,
        duration_ms=outcome.duration_ms,
        killed_by=outcome.killed_by,
        backend=outcome.backend.value,
    )
