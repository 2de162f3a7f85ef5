"""A script, not a module: becomes another program that dies with the process that started it.

Runs in the child between fork and exec, as `python -I -S exec_wrapper.py REPORT_FD
PARENT_PID LC_CTYPE PROGRAM ARGS...`. When PROGRAM cannot be run, its errno is written
to REPORT_FD; when it can, REPORT_FD closes without a word. LC_CTYPE is `keep` or
`drop`: the interpreter itself may have set that variable (PEP 538).
"""

import _signal  # type: ignore[import-not-found]  # `signal` itself would cost 4 ms of enum
import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    report_fd, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    program, environment = sys.argv[4:], dict(os.environb)
    if sys.argv[3] == "drop":
        environment.pop(b"LC_CTYPE", None)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)  # it died before it could be watched
    for ignored_by_python in (_signal.SIGPIPE, _signal.SIGXFSZ):
        _signal.signal(ignored_by_python, _signal.SIG_DFL)
    os.set_inheritable(report_fd, False)
    close_all_but(report_fd)
    try:
        os.execve(program[0], program, environment)  # noqa: S606 - the point of this script
    except OSError as failure:
        os.write(report_fd, b"%d" % (failure.errno or 0))
        os._exit(127)


def close_all_but(report_fd: int) -> None:
    """uvloop leaves inheritable descriptors open. Listed, as the limit may be a thousand million."""
    try:
        open_fds = [int(name) for name in os.listdir("/proc/self/fd")]
    except OSError:
        return  # no /proc: asyncio has closed them
    for fd in open_fds:
        if fd > 2 and fd != report_fd:
            try:
                os.close(fd)
            except OSError:
                continue  # the listing's own


if __name__ == "__main__":
    main()
