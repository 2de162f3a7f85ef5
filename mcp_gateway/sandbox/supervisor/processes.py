"""The processes below this one, as /proc shows them: who they are, what they use, and how to end them all."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KILL_WITHIN_S = 3.0


class Process:
    """One line of /proc/PID/stat; cpu_s includes children that were waited for."""

    __slots__ = ("cpu_s", "parent", "pid", "rss_bytes", "threads")

    def __init__(self, pid: int, fields: list[str]) -> None:
        # Positions of proc(5), counted from the state, which is field 3.
        self.pid = pid
        self.parent = int(fields[1])
        self.cpu_s = sum(map(int, fields[11:15])) * _TICK_S
        self.threads = int(fields[17])
        self.rss_bytes = int(fields[21]) * _PAGE_BYTES


def descendants(root: int) -> list[Process]:
    """Everything below `root`; as it is a subreaper, nothing that was started below it can leave."""
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    todo = [root]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += [process.pid for process in below]
    return found


def family(root: int) -> list[Process]:
    """`root` and everything below it."""
    return [*(process for process in _all() if process.pid == root), *descendants(root)]


def nested(processes: list[Process]) -> list[Process]:
    """Those with a process namespace of their own: proc_pid_status(5) shows a second number for them."""
    return [process for process in processes if _namespaces(process.pid) > 1]


def threads_of_user(uid: int) -> int:
    """What RLIMIT_NPROC counts for a user before the run starts."""
    return sum(process.threads for process in _all() if _owner(process.pid) == uid)


def resident_bytes(processes: list[Process], limit: int) -> int:
    """Memory in use. Shared pages are split fairly only when the rough sum is above the limit: that costs more."""
    rough = sum(process.rss_bytes for process in processes)
    if rough <= limit:
        return rough
    return sum(_fair_bytes(process) for process in processes)


def deleted_bytes(processes: list[Process], device: int) -> int:
    """Disk space of files on `device` that have no name any more but are held open."""
    found: dict[int, int] = {}
    for process in processes:
        folder = f"/proc/{process.pid}/fd"
        try:
            descriptors = os.listdir(folder)
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                status = os.stat(f"{folder}/{descriptor}")
            except OSError:
                continue
            if status.st_nlink == 0 and status.st_dev == device:
                found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


def end_all(root: int) -> None:
    """Kill everything below `root` and reap it; what forks meanwhile is met in the next round.

    Gives up after a few seconds on what even SIGKILL does not end (a process stuck in the kernel).
    """
    give_up_monotonic_s = time.monotonic() + _KILL_WITHIN_S
    while time.monotonic() < give_up_monotonic_s:
        if not reap():
            return
        living = descendants(root)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in living:
                kill(process.pid, number)
        time.sleep(0.001)  # gives the killed a turn to die; this process has nothing else to do


def reap() -> bool:
    """Take in the children that have ended; False when there is none left at all."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    # Gone meanwhile; or another user's, which only a supervisor without privileges meets, and never started.
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _all() -> list[Process]:
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                text = file.read()
        except OSError:
            continue
        # The name in brackets may hold anything, brackets included.
        found.append(Process(int(name), text[text.rindex(b")") + 2 :].decode().split()))
    return found


def _namespaces(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return len(line.split()) - 1
    except OSError:
        pass
    return 0


def _owner(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def _fair_bytes(process: Process) -> int:
    try:
        with open(f"/proc/{process.pid}/smaps_rollup") as file:
            for line in file:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return process.rss_bytes
