"""One run from its spec to its report: set up, start, watch, end everything, clean up.

The report is a line of JSON (followed by what was collected) on standard output in CAPTURE mode, and the exit status
otherwise. Closing our standard input (CAPTURE) or SIGTERM ends the run at once.
"""

from __future__ import annotations

import os
import select
import signal
import time

from . import bubblewrap, cgroup, confine, container, linux, orders, places, processes
from .pumps import Input, Output
from .report import say, send
from .spec import BUBBLEWRAP, CAPTURE, CONTAINER, DIRECT, LANDLOCK, RELAY, SetupFailed, Spec, parse
from .watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .engine import Container

_PROGRESS_EVERY_S = 1.0
_SETUP_FAILED = 125
"""Exit status when the sandbox could not be built (as env(1) and docker(1) use it)."""
_DIRECT_TICK_S = 0.1
_SHORT_TICK_S = 0.02
_CANCELLED = "cancelled"


def main(arguments: list[str]) -> int:
    """`-`: the spec is a line on standard input. Else the argument is the spec, and our environment the program's."""
    os.closerange(3, 1 << 20)
    stopped = orders.stop_requests()
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
    # SIGTERM, not SIGKILL: when the gateway dies there is still a run to end.
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
    if arguments == ["-"]:
        spec, stdin = orders.receive()
    else:
        spec, stdin = parse(arguments[0]), b""
        spec.env = {**os.environ, **spec.env}
    try:
        run = Run(spec, stdin, stopped)
        try:
            run.start()
            run.supervise()
        finally:
            run.finish()
        return run.report()
    except (OSError, SetupFailed) as error:
        return _report_failure(spec, str(error))


def _report_failure(spec: Spec, reason: str) -> int:
    if spec.mode == CAPTURE:
        send({"failed": reason})
    else:
        say(f"sandbox: {reason}")
    return _SETUP_FAILED


class Run:
    """The run and everything that has to be put away after it."""

    def __init__(self, spec: Spec, stdin: bytes, stopped: int) -> None:
        self._spec, self._stdin, self._stopped = spec, stdin, stopped
        self._identity = confine.choose_identity(spec.workdir)
        limits = spec.limits
        makes_group = spec.use_cgroup and spec.backend != CONTAINER
        self._group = cgroup.create(limits.memory_bytes, limits.pids) if makes_group else None
        self._scratch = places.Scratch(self._identity) if spec.backend == LANDLOCK else None
        borrowed = places.needs_loan(spec.workdir, self._identity)
        self._loan = places.Loan(spec.workdir, self._identity) if borrowed and spec.workdir else None
        self._threads = confine.thread_limit(spec, self._identity)
        self._container = self._new_container() if spec.backend == CONTAINER else None
        self._pid = self._lasted_ms = 0
        self._status: int | None = None
        self._killed_by: str | None = None
        self._outputs: list[Output] = []
        self._input: Input | None = None

    def start(self) -> None:
        """Fork, and in the child become the program. Raises SetupFailed with what the child could not do."""
        inner, outer = self._streams()
        status_read, status_write = os.pipe()
        error_read, error_write = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._child(inner, status_write, error_write)
        for fd in (status_write, error_write, *inner):
            os.close(fd)
        self._status_fd = status_read
        self._connect(outer)
        folders = [self._spec.workdir] if self._spec.workdir else []
        folders += [self._scratch.path] if self._scratch else []
        self._watch = Watch(
            self._spec.limits,
            self._group,
            folders,
            inside=self._spec.backend != LANDLOCK,
            living=self._container.living if self._container else None,
            shortest_tick_s=_DIRECT_TICK_S if self._spec.mode == DIRECT else _SHORT_TICK_S,
        )
        error = os.read(error_read, 4096)
        os.close(error_read)
        if error:
            raise SetupFailed(error.decode("utf-8", "replace"))

    def _new_container(self) -> Container:
        from .engine import Container  # costs 20 ms that only this backend needs

        assert self._spec.engine is not None
        return Container(self._spec, self._spec.engine, self._identity, self._threads)

    def _streams(self) -> tuple[list[int], list[int]]:
        """The program's ends and ours of three pipes; none in DIRECT mode."""
        if self._spec.mode == DIRECT:
            return [], []
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe(), os.pipe()
        return [in_read, out_write, err_write], [in_write, out_read, err_read]

    def _connect(self, ends: list[int]) -> None:
        if not ends:
            # The program's alone from now on, so that its closing them is seen at the other end.
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, 0)
            os.dup2(null, 1)
            return
        relays = self._spec.mode == RELAY
        limit = self._spec.limits.output_bytes
        self._input = Input(ends[0], 0 if relays else None, self._stdin)
        self._outputs = [Output(ends[1], 1 if relays else None, limit), Output(ends[2], 2 if relays else None, limit)]

    def _child(self, streams: list[int], status_fd: int, error_fd: int) -> None:
        try:
            for number, fd in enumerate(streams):
                os.dup2(fd, number)
            os.setsid()
            if self._group:
                self._group.join()
            if self._container:
                self._become_engine(self._container)
            elif self._spec.backend == BUBBLEWRAP:
                self._become_bubblewrap(status_fd)
            else:
                self._become_landlocked()
        except BaseException as error:  # boundary: a forked child must never return into the supervisor's code
            os.write(error_fd, str(error).encode("utf-8", "replace")[:4096])
        finally:
            os._exit(_SETUP_FAILED)

    def _become_bubblewrap(self, status_fd: int) -> None:
        spec = self._spec
        paths = [*spec.read_only, *([spec.workdir] if spec.workdir else [])]
        sources = places.stage(paths) if self._identity.changes and paths else {}
        argv, kept = bubblewrap.command(spec, sources, status_fd, cgroup=self._group is not None)
        confine.lower(spec, self._identity, self._threads)
        for fd in kept:
            os.set_inheritable(fd, True)
        confine.become(argv, {})

    def _become_landlocked(self) -> None:
        spec, scratch = self._spec, self._scratch
        assert scratch is not None
        confine.lower(spec, self._identity, self._threads)
        os.chdir(spec.workdir or scratch.work)
        writable = [scratch.path, *([spec.workdir] if spec.workdir else [])]
        confine.landlocked(spec, writable, cgroup=self._group is not None, owns_nothing=self._identity.owns_nothing)
        confine.become(spec.argv, confine.environment(spec, scratch.tmp))

    def _become_engine(self, running: Container) -> None:
        command = running.command()
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        confine.become(command, running.environment)

    def supervise(self) -> None:
        """Until the program ends, passes a limit, or is no longer wanted."""
        ended = os.pidfd_open(self._pid)
        told = [ended, self._stopped, *([0] if self._spec.mode == CAPTURE else [])]
        next_look_s = time.monotonic()
        next_progress_s = next_look_s + _PROGRESS_EVERY_S
        while True:
            ready = self._wait(told, max(0.0, next_look_s - time.monotonic()))
            if ended in ready:
                break
            if ready & set(told):
                self._killed_by = _CANCELLED
                break
            if any(output.full for output in self._outputs):
                self._killed_by = "output"
                break
            now_s = time.monotonic()
            if now_s >= next_look_s:
                self._killed_by = self._watch.passed()
                if self._killed_by:
                    break
                next_look_s = self._watch.next_look_s()
            if self._spec.mode == CAPTURE and now_s >= next_progress_s:
                next_progress_s = now_s + _PROGRESS_EVERY_S
                send({"progress": [self._watch.elapsed_ms(), *(output.count for output in self._outputs)]})
        os.close(ended)
        self._lasted_ms = self._watch.elapsed_ms()

    def _wait(self, told: list[int], timeout_s: float) -> set[int]:
        """Move what can be moved; which of the `told` descriptors are ready."""
        poll = select.poll()
        for fd in told:
            poll.register(fd, select.POLLIN)
        moving = {}
        for stream in (self._input, *self._outputs):
            wanted = stream.wants() if stream else None
            if stream and wanted:
                poll.register(*wanted)
                moving[wanted[0]] = stream
        ready = {fd for fd, _ in poll.poll(int(timeout_s * 1000) + 1)}
        for fd in ready & moving.keys():
            moving[fd].move()
        return ready

    def finish(self) -> None:
        """End everything that is left of the run and put its places in order."""
        if self._pid:
            if self._killed_by is None:
                _, self._status = os.waitpid(self._pid, os.WNOHANG)
            if self._group:
                self._group.kill()
            if self._container:
                self._end_container(self._container)
            processes.end_all(os.getpid())
        if self._killed_by is None and self._status is not None:
            self._killed_by = self._passed_at_last()
        for output in self._outputs:
            output.drain()
        if self._loan:
            self._loan.give_back()
        if self._scratch:
            self._scratch.remove()
        if self._group:
            self._group.remove()

    def _end_container(self, running: Container) -> None:
        if self._status is None:
            running.remove(self._pid)
            return
        running.judge(self._exit_code())
        running.remove()

    def _passed_at_last(self) -> str | None:
        """A limit whose enforcement was the program's end: seen only afterwards."""
        if any(output.full for output in self._outputs):
            return "output"
        if self._container and self._container.ran_out_of_memory:
            return "memory"
        by_signal = {int(signal.SIGXCPU): "cpu", int(signal.SIGXFSZ): "disk"}
        return self._watch.passed_in_kernel() or by_signal.get(self._exit_code() - 128)

    def _exit_code(self) -> int:
        """As a shell counts: 128 + n for a signal. Bubblewrap reports its program's end the same way."""
        if self._status is None:
            return 128 + (signal.SIGTERM if self._killed_by == _CANCELLED else signal.SIGKILL)
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def report(self) -> int:
        code = self._exit_code()
        if self._killed_by == _CANCELLED and self._spec.mode == CAPTURE:
            raise SetupFailed("told to stop")
        if self._container and self._container.never_ran:
            raise SetupFailed(self._complaint() or "the container engine failed")
        if self._killed_by is None and code == 1 and self._outputs:
            if self._spec.backend == BUBBLEWRAP:
                code = self._bubblewrap_verdict()
            elif self._container:
                code = container.missing_program(self._complaint()) or code
        if self._spec.mode == CAPTURE:
            self._send_outcome(code)
        elif self._killed_by not in (None, _CANCELLED):
            say(f"sandbox: killed_by={self._killed_by}")
        return code

    def _bubblewrap_verdict(self) -> int:
        """Tell a program's own exit status 1 from bubblewrap's, which means that the program never ran."""
        os.set_blocking(self._status_fd, False)
        try:
            written = os.read(self._status_fd, 4096)
        except BlockingIOError:
            written = b""
        complaint = self._outputs[1].beginning
        if complaint.startswith(b"bwrap: execvp "):
            return 126 if b"Permission denied" in complaint else 127
        if b'"exit-code"' in written:
            return 1
        raise SetupFailed(self._complaint() or "bubblewrap failed")

    def _complaint(self) -> str:
        """What stands at the beginning of standard error; in DIRECT mode it was the caller's alone."""
        return self._outputs[1].beginning.decode("utf-8", "replace").strip() if self._outputs else ""

    def _send_outcome(self, code: int) -> None:
        by_us = self._killed_by is not None and self._status is None
        outcome = {
            "exit_code": code,
            "signal": code - 128 if by_us or 128 < code <= 128 + signal.NSIG - 1 else None,
            "truncated": any(output.full for output in self._outputs),
            "duration_ms": self._lasted_ms,
            "killed_by": self._killed_by,
            "backend": self._spec.backend,
        }
        streams = [bytes(output.data) for output in self._outputs]
        send({"outcome": outcome, "sizes": [len(stream) for stream in streams]}, *streams)
