"""What starting a program takes: its pipes, a promise that it cannot outlive us, and plain words when it fails.

A command enters; the command to run instead, descriptors, and UpstreamStartFailed
leave. Who starts it is not known here.

Three ways to set PR_SET_PDEATHSIG in a child were weighed. `preexec_fn` runs
Python in a fork of a threaded process: another thread's lock or a finalizer can
stop it or write twice, it rules out vfork, and Python 3.12 and later warn of it.
`setpriv` of util-linux is not everywhere and tells failures only as text. So a
fresh interpreter runs `exec_wrapper.py` and becomes the program: 13 ms per start
against 9 ms for a bare interpreter (measured 2026-11-24, 2 cores; off the event
loop), nothing per call. The signal is bound to the thread that forks, which is the event
loop's; when that ends, so should its children. Elsewhere than on Linux the
program is started directly and ends by the end of its input.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType

import anyio

from mcp_gateway.errors import UpstreamStartFailed
from mcp_gateway.upstream.child import start_failed

_WRAPPER = str(Path(__file__).with_name("exec_wrapper.py"))

EXEC_WITHIN_S = 5.0
"""How long the wrapper's word is waited for; a machine slower than that is believed to have started the program."""

_REASONS = {
    errno.ENOENT: "the interpreter named in its first line does not exist",
    errno.EACCES: "it is not executable; chmod +x it",
    errno.ENOEXEC: "it is not a program for this machine, or a script without a #! line",
    errno.EAGAIN: "the system has no room for another process; try again or raise the limit",
    errno.ENOMEM: "the system has no memory for another process",
    errno.EMFILE: "the gateway has too many files open; raise `ulimit -n`",
    errno.ENFILE: "the system has too many files open",
    errno.E2BIG: "its arguments and environment are too long",
    errno.ETXTBSY: "it is being written to; try again",
}


class ChildPipes:
    """Three real pipes. An event loop's own may be sockets, and a shell cannot open those as /dev/stderr.

    As a context manager it closes, on leaving, the child's ends and those of ours that were not taken.
    """

    def __init__(self) -> None:
        self.theirs: list[int] = []
        self._ours: list[FileIO] = []

    def __enter__(self) -> ChildPipes:
        try:
            self._open(we_write=True)
            self._open(we_write=False)
            self._open(we_write=False)
        except OSError:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _open(self, *, we_write: bool) -> None:
        read_fd, write_fd = os.pipe()
        self.theirs.append(read_fd if we_write else write_fd)
        self._ours.append(FileIO(write_fd, "wb") if we_write else FileIO(read_fd, "rb"))

    def take_ours(self) -> list[FileIO]:
        """Our ends of stdin, stdout and stderr, for the caller to close."""
        ours, self._ours = self._ours, []
        return ours

    def _close(self) -> None:
        for fd in self.theirs:
            os.close(fd)
        for pipe in self._ours:
            pipe.close()


class ExecReport:
    """Whether the program was really run, told by the wrapper over a pipe of its own; trivial where it is not used."""

    def __init__(self) -> None:
        self.pass_fds: tuple[int, ...] = ()
        self._read_fd: int | None = None

    def __enter__(self) -> ExecReport:
        if sys.platform == "linux" and sys.executable:
            self._read_fd, write_fd = os.pipe()
            self.pass_fds = (write_fd,)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_theirs()
        if self._read_fd is not None:
            os.close(self._read_fd)

    def _close_theirs(self) -> None:
        for fd in self.pass_fds:
            os.close(fd)
        self.pass_fds = ()

    def wrapped(self, command: list[str], *, keeps_lc_ctype: bool) -> list[str]:
        """The command line that becomes `command`."""
        if not self.pass_fds:
            return command
        lc_ctype = "keep" if keeps_lc_ctype else "drop"
        return [sys.executable, "-I", "-S", _WRAPPER, str(self.pass_fds[0]), str(os.getpid()), lc_ctype, *command]

    async def confirm(self) -> None:
        """Call once it was started. Raises OSError when the program was refused."""
        if self._read_fd is None:
            return
        self._close_theirs()
        with anyio.move_on_after(EXEC_WITHIN_S):
            await anyio.wait_readable(self._read_fd)
            if number := os.read(self._read_fd, 16):
                raise OSError(int(number), os.strerror(int(number)))


@contextmanager
def explained(server: str, program: str) -> Iterator[None]:
    """Turn the operating system's refusals into UpstreamStartFailed."""
    try:
        yield
    except OSError as failure:
        raise explain(server, program, failure) from failure
    except ValueError:
        raise start_failed(server, "its command line or environment holds a NUL or text that is not Unicode") from None


def explain(server: str, program: str, failure: OSError) -> UpstreamStartFailed:
    """Turn the operating system's refusal into words that help."""
    reason = _REASONS.get(failure.errno or 0, os.strerror(failure.errno or 0))
    return start_failed(server, f"{os.path.basename(program)!r}: {reason}")
