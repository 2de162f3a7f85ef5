"""One child process: its pipes, its end, and its death within a bounded time.

Bytes for its input enter, chunks of its output leave through a callback, and one
callback tells the end. What the bytes mean is not known here.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from io import FileIO
from typing import cast

import anyio
from anyio.lowlevel import RunVar

from mcp_gateway.upstream.child import resolve_command
from mcp_gateway.upstream.dispatch.launch import ChildPipes, ExecReport, explained
from mcp_gateway.upstream.dispatch.pipe_end import PipeEnd
from mcp_gateway.upstream.dispatch.stderr import StderrTail

WRITE_BUFFER_BYTES = 1024 * 1024
"""What may wait in our memory for a child that does not read; further writers wait. Our choice."""

END_GRACE_S = 0.1
"""From the first sign of the end (output closed, input closed, exit) to `on_end`, so that the last output and the
last words are read and the exit code is known. Pending calls must fail within 250 ms (security facts, 3.2)."""

EOF_GRACE_S = 0.5
TERM_GRACE_S = 0.4
KILL_GRACE_S = 0.4
"""The ladder of `stop`: end of input, SIGTERM, SIGKILL; together below 1.5 s (protocol facts, section 6, trap 4)."""

_STDIN, _STDOUT, _STDERR = 0, 1, 2

_fork_lock: RunVar[anyio.Lock] = RunVar("fork_lock")


class ChildProcess(asyncio.SubprocessProtocol):
    """A child in a session and process group of its own. Whoever starts it stops it."""

    def __init__(self, server: str, *, on_output: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self.stderr = StderrTail(server)
        self.pid: int | None = None
        self._server = server
        self._on_output = on_output
        self._on_end = on_end
        self._writable = asyncio.Event()
        self._exited = asyncio.Event()
        self._finished = asyncio.Event()
        self._pipes: list[asyncio.ReadTransport | asyncio.WriteTransport] = []
        self._lost_pipes: list[int] = []
        self._ended = False

    async def start(self, argv: Sequence[str], env: Mapping[str, str], cwd: str | None) -> None:
        """Raises UpstreamStartFailed, at once and with nothing left behind."""
        program = resolve_command(argv[0], env.get("PATH", os.defpath), cwd, server=self._server)
        try:
            with explained(self._server, program), ExecReport() as report:
                command = report.wrapped([program, *argv[1:]], keeps_lc_ctype="LC_CTYPE" in env)
                async with _fork_turn():
                    with anyio.CancelScope(shield=True):  # short: a fork, and the pipes connected
                        await self._spawn(command, env, cwd, report.pass_fds)
                await report.confirm()
        except BaseException:
            await self.stop()
            raise

    async def _spawn(
        self, command: Sequence[str], env: Mapping[str, str], cwd: str | None, pass_fds: Sequence[int]
    ) -> None:
        with ChildPipes() as pipes:
            stdin, stdout, stderr = pipes.theirs
            await asyncio.get_running_loop().subprocess_exec(
                lambda: self,
                *command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
            await self._connect(*pipes.take_ours())

    async def _connect(self, stdin: FileIO, stdout: FileIO, stderr: FileIO) -> None:
        loop = asyncio.get_running_loop()
        self._stdin, _ = await loop.connect_write_pipe(lambda: _Pipe(self, _STDIN), PipeEnd.taken_from(stdin))
        self._stdin.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._pipes.append(self._stdin)
        for fd, pipe in ((_STDOUT, stdout), (_STDERR, stderr)):
            transport, _ = await loop.connect_read_pipe(partial(_Pipe, self, fd), PipeEnd.taken_from(pipe))
            self._pipes.append(transport)
        self._writable.set()

    @property
    def blocked(self) -> bool:
        """True while the child reads more slowly than we write; see `until_writable`."""
        return not (self._writable.is_set() or self._ended)

    @property
    def buffered_bytes(self) -> int:
        """What waits in our memory to be written."""
        return self._stdin.get_write_buffer_size()

    async def until_writable(self) -> None:
        """Wait for room in the write buffer; returns also when the child has ended."""
        while self.blocked:
            await self._writable.wait()

    def write(self, line: bytes) -> None:
        """Hand one line to the pipe, whole, after those written before. Dropped when the input is closed."""
        if not self._ended and _STDIN not in self._lost_pipes:
            self._stdin.write(line)

    def ending(self) -> str:
        """How it ended, as words that follow the upstream's name."""
        code = self._transport.get_returncode()
        if code is None:
            return "closed its input" if self._lost_pipes[:1] == [_STDIN] else "closed its output"
        if code < 0:
            return f"was ended by {_signal_name(-code)}"
        return f"exited with code {code}"

    async def stop(self) -> None:
        """End the child and everything in its group, and reap it; not to be interrupted."""
        if self.pid is None:
            return
        self._ended = True
        self._writable.set()
        with anyio.CancelScope(shield=True):
            self._stdin.close()
            for grace_s, signum in ((EOF_GRACE_S, signal.SIGTERM), (TERM_GRACE_S, signal.SIGKILL)):
                if await _happens_within(self._exited, grace_s):
                    break
                self._signal_group(signum)
            await _happens_within(self._exited, KILL_GRACE_S)
            if _STDIN not in self._lost_pipes and self.buffered_bytes:
                self._stdin.abort()  # what it never read would keep the pipe open
            for pipe in (self._transport, *self._pipes):
                pipe.close()
            await _happens_within(self._finished, END_GRACE_S)
        self.stderr.close()

    def _signal_group(self, signum: signal.Signals) -> None:
        assert self.pid is not None
        try:
            os.killpg(self.pid, signum)
        except (ProcessLookupError, PermissionError):
            return  # the group is empty, or only processes of other users are left

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)  # uvloop's class does not derive from it
        self.pid = self._transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self.stderr.feed(data)
        elif not self._ended:
            self._on_output(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._lost_pipes.append(fd)
        if fd != _STDERR or self._exited.is_set():
            self._ending()
        self._finish()

    def process_exited(self) -> None:
        """Its group goes with it: a grandchild that keeps the pipes open would hide the end."""
        self._exited.set()
        self._signal_group(signal.SIGKILL)
        self._ending()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _ending(self) -> None:
        if self._exited.is_set() and {_STDOUT, _STDERR}.issubset(self._lost_pipes):
            self._end()
        else:
            asyncio.get_running_loop().call_later(END_GRACE_S, self._end)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._writable.set()
        self._on_end()

    def _finish(self) -> None:
        if self._exited.is_set() and len(self._lost_pipes) == len(self._pipes):
            self._finished.set()


class _Pipe(asyncio.Protocol):
    """One of the child's pipes, as the event loop sees it; `fd` is the child's number for it."""

    def __init__(self, child: ChildProcess, fd: int) -> None:
        self._child = child
        self._fd = fd

    def data_received(self, data: bytes) -> None:
        self._child.pipe_data_received(self._fd, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._child.pipe_connection_lost(self._fd, exc)

    def pause_writing(self) -> None:
        self._child.pause_writing()

    def resume_writing(self) -> None:
        self._child.resume_writing()


def _fork_turn() -> anyio.Lock:
    """One fork at a time: each blocks the event loop for a moment, and doors and calls have their turn in between."""
    try:
        return _fork_lock.get()
    except LookupError:
        lock = anyio.Lock()
        _fork_lock.set(lock)
        return lock


async def _happens_within(event: asyncio.Event, seconds: float) -> bool:
    with anyio.move_on_after(seconds):
        await event.wait()
    return event.is_set()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
