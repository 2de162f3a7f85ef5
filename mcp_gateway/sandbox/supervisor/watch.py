"""The clock and the scales: says which limit a run has passed, if any. It ends nothing itself."""

from __future__ import annotations

import os
import resource
import time

from . import processes
from .cgroup import Cgroup
from .pace import Pace
from .spec import MAX_FILES, SCRATCH, Limits

_LONGEST_TICK_S = 0.5
_LONGEST_PAUSE_S = 0.5
"""What the kernel notices is asked for at least this often."""
_INSIDE = ("/tmp", "/dev/shm", SCRATCH)  # noqa: S108 - the sandbox's own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Living = Callable[[], list[processes.Process]]


class Watch:
    """The limits of one run, watched from `started`.

    folders: real folders on the host whose growth counts as disk (the working directory, Landlock's scratch).
    inside: whether the run has a root of its own, with file systems in memory (bubblewrap, containers).
    living: what counts as the run, where that is not all below us (containers, whose process 1 it tells too).
    shortest_tick_s: how often to look when looking is cheap.
    """

    def __init__(
        self,
        limits: Limits,
        group: Cgroup | None,
        folders: list[str],
        *,
        inside: bool,
        living: Living | None,
        shortest_tick_s: float,
    ) -> None:
        self._limits, self._group, self._inside, self._told = limits, group, inside, living
        self._started_monotonic_s = time.monotonic()
        self._folders = [(folder, os.stat(folder).st_dev, *_usage(folder)) for folder in folders]
        self._use_pace = Pace(shortest_tick_s, self._started_monotonic_s)
        self._disk_pace = Pace(shortest_tick_s, self._started_monotonic_s)

    def elapsed_ms(self) -> int:
        return int((time.monotonic() - self._started_monotonic_s) * 1000)

    def passed(self) -> str | None:
        """The name of a passed limit, as far as it is time to look again."""
        now_s = time.monotonic()
        if self._limits.wall_s is not None and now_s - self._started_monotonic_s >= self._limits.wall_s:
            return "wall"
        verdict = self.passed_in_kernel()
        if verdict is None and now_s >= self._use_pace.next_s:
            verdict = self._look_at_use(now_s)
        if verdict is None and self._folders and now_s >= self._disk_pace.next_s:
            verdict = self._look_at_disk()
        return verdict

    def next_look_s(self) -> float:
        """When `passed` wants to be asked again, on the monotonic clock."""
        soonest_s = min(self._use_pace.next_s, time.monotonic() + _LONGEST_PAUSE_S)
        if self._folders:
            soonest_s = min(soonest_s, self._disk_pace.next_s)
        if self._limits.wall_s is not None:
            soonest_s = min(soonest_s, self._started_monotonic_s + self._limits.wall_s)
        return soonest_s

    def passed_in_kernel(self) -> str | None:
        """What the control group noticed, also after the program has ended."""
        if self._group is None:
            return None
        if self._group.memory_exceeded():
            return "memory"
        return "pids" if self._group.pids_exceeded() else None

    def _look_at_use(self, began_s: float) -> str | None:
        living = self._living()
        in_memory_bytes, in_memory_files = self._in_memory(living)
        share = 0.0 if self._group else self._memory_share(living, in_memory_bytes)
        self._use_pace.looked(share, began_s, time.monotonic())
        if share > 1:
            return "memory"
        threads = sum(process.threads for process in living)
        if self._group is None and threads - self._own() > self._limits.pids:
            return "pids"
        if self._limits.cpu_s is not None and self._cpu_s(living) > self._limits.cpu_s:
            return "cpu"
        return "disk" if in_memory_files > MAX_FILES else None

    def _look_at_disk(self) -> str | None:
        began_s = time.monotonic()
        share = self._disk_share(self._living())
        self._disk_pace.looked(share, began_s, time.monotonic())
        return "disk" if share > 1 else None

    def _living(self) -> list[processes.Process]:
        return self._told() if self._told else processes.descendants(os.getpid())

    def _own(self) -> int:
        """Processes that are not the program's: both of bubblewrap, or process 1 of a container."""
        return 1 if self._told else 2 if self._inside else 0

    def _cpu_s(self, living: list[processes.Process]) -> float:
        waited = resource.getrusage(resource.RUSAGE_CHILDREN)
        counted = sum(process.cpu_s for process in living) + waited.ru_utime + waited.ru_stime
        return max(counted, self._group.cpu_s() if self._group else 0.0)

    def _in_memory(self, living: list[processes.Process]) -> tuple[int, int]:
        """Bytes and files in the sandbox's own file systems, seen through a process inside."""
        if not self._inside or not living:
            return 0, 0
        root = f"/proc/{living[-1].pid}/root"
        used = files = 0
        for path in _INSIDE:
            try:
                status, device = os.statvfs(root + path), os.stat(root + path).st_dev
                # A folder of an image is on the image's disk, and before its start the run still sees the host's.
                is_own = device != os.stat(f"{root}/").st_dev
                is_host = os.path.exists(path) and device == os.stat(path).st_dev
            except OSError:
                continue
            if is_own and not is_host:
                used += (status.f_blocks - status.f_bfree) * status.f_frsize
                files += status.f_files - status.f_ffree
        return used, files

    def _memory_share(self, living: list[processes.Process], in_memory_bytes: int) -> float:
        limit = self._limits.memory_bytes
        return (in_memory_bytes + processes.resident_bytes(living, limit - in_memory_bytes)) / limit

    def _disk_share(self, living: list[processes.Process]) -> float:
        fullest = 0.0
        for folder, device, bytes_before, files_before in self._folders:
            used, files = _usage(folder, most_files=files_before + MAX_FILES)
            used += processes.deleted_bytes(living, device)
            share = max((used - bytes_before) / self._limits.disk_bytes, (files - files_before) / MAX_FILES)
            fullest = max(fullest, share)
        return fullest


def _usage(folder: str, most_files: float = float("inf")) -> tuple[int, int]:
    """Bytes and entries below a folder; what vanishes meanwhile does not count, links are not followed.

    Stops counting above `most_files`, since that settles the matter.
    """
    used = files = 0
    todo = [folder]
    while todo and files <= most_files:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    files += 1
                    if files > most_files:
                        break
                    used += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:
            continue
    return used, files
