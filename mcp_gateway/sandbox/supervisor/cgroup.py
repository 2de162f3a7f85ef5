"""A control group for one run, where this process may make one: real limits on memory and processes of the whole run.

Version 2 (one folder, delegated controllers) and version 1 (one folder per controller) look alike from outside. Where
neither can be had, `create` answers None and the watch polls instead.
"""

from __future__ import annotations

import os
import time

_NAME = "mcp-gateway-sandbox-"
_EXTRA_PIDS = 3
"""Bubblewrap's own processes count too."""
_REMOVE_WITHIN_S = 1.0


class Cgroup:
    """The folders of one run. Whoever creates it calls `remove` when nothing runs in it any more."""

    def __init__(self, memory: str, pids: str, cpu: str | None, *, unified: bool) -> None:
        self._memory, self._pids, self._cpu, self._unified = memory, pids, cpu, unified
        self._folders = {folder for folder in (memory, pids, cpu) if folder}

    def limit(self, memory_bytes: int, pids: int) -> None:
        """Raises OSError where the kernel refuses a limit."""
        name, swap = ("memory.max", "memory.swap.max") if self._unified else (
            "memory.limit_in_bytes",
            "memory.memsw.limit_in_bytes",
        )  # fmt: skip
        _write(self._memory, name, str(memory_bytes))
        # Version 2 counts swap apart, version 1 together with memory; both are absent without swap accounting.
        if os.path.exists(f"{self._memory}/{swap}"):
            _write(self._memory, swap, "0" if self._unified else str(memory_bytes))
        if self._unified and os.path.exists(f"{self._memory}/memory.oom.group"):
            _write(self._memory, "memory.oom.group", "1")
        _write(self._pids, "pids.max", str(pids + _EXTRA_PIDS))

    def join(self) -> None:
        """Move the calling process in."""
        for folder in self._folders:
            _write(folder, "cgroup.procs", "0")

    def members(self) -> list[int]:
        """The processes inside, as this process numbers them."""
        return [pid for pid in map(int, _read(self._pids, "cgroup.procs").split()) if pid]

    def cpu_s(self) -> float:
        if self._cpu is None:
            return 0.0
        if self._unified:
            return _counter(_read(self._cpu, "cpu.stat"), "usage_usec") / 1e6
        return int(_read(self._cpu, "cpuacct.usage") or 0) / 1e9

    def memory_exceeded(self) -> bool:
        return _counter(_read(self._memory, "memory.events" if self._unified else "memory.oom_control"), "oom_kill") > 0

    def pids_exceeded(self) -> bool:
        return _counter(_read(self._pids, "pids.events"), "max") > 0

    def kill(self) -> None:
        """End everything at once, where the kernel can; killing one by one is the caller's other means."""
        if os.path.exists(f"{self._pids}/cgroup.kill"):
            _write(self._pids, "cgroup.kill", "1")

    def remove(self) -> None:
        """A group stays busy for a moment after its last process was reaped."""
        give_up_monotonic_s = time.monotonic() + _REMOVE_WITHIN_S
        for folder in self._folders:
            while not _removed(folder) and time.monotonic() < give_up_monotonic_s:
                time.sleep(0.002)  # rmdir fails until the kernel lets go, and nothing announces that


def create(memory_bytes: int, pids: int) -> Cgroup | None:
    """A group with its limits set, or None where this process may not make one."""
    places = _places()
    if {"memory", "pids"} <= places.keys():
        return _create_v1(places, memory_bytes, pids)
    return _create_v2(places, memory_bytes, pids)


def _create_v1(places: dict[str, str], memory_bytes: int, pids: int) -> Cgroup | None:
    made = {name: folder for name in ("memory", "pids", "cpuacct") if (folder := _make(places.get(name)))}
    if not {"memory", "pids"} <= made.keys():
        _discard(made)
        return None
    group = Cgroup(made["memory"], made["pids"], made.get("cpuacct"), unified=False)
    limited = _limited(group, memory_bytes, pids)
    if limited is None:
        _discard(made)
    return limited


def _create_v2(places: dict[str, str], memory_bytes: int, pids: int) -> Cgroup | None:
    own = places.get("")
    if own is None:
        return None
    # A group that holds processes cannot delegate, so a sibling in the parent is the usual place.
    for parent in (own, os.path.dirname(own)):
        if not _delegates(parent):
            continue
        folder = _make(parent)
        if folder is None:
            continue
        group = _limited(Cgroup(folder, folder, folder, unified=True), memory_bytes, pids)
        if group:
            return group
        _discard({"": folder})
    return None


def _delegates(folder: str) -> bool:
    for _ in range(2):
        if {"memory", "pids"} <= set(_read(folder, "cgroup.subtree_control").split()):
            return True
        try:
            _write(folder, "cgroup.subtree_control", "+memory +pids")
        except OSError:
            return False
    return False


def _limited(group: Cgroup, memory_bytes: int, pids: int) -> Cgroup | None:
    try:
        group.limit(memory_bytes, pids)
    except OSError:
        return None
    return group


def _discard(made: dict[str, str]) -> None:
    for folder in made.values():
        _removed(folder)


def _places() -> dict[str, str]:
    """Where this process's own groups are: folder by controller; "" is the unified hierarchy."""
    own = {}
    for line in _read("/proc/self", "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    places = {}
    for line in _read("/proc/self", "mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        root, mount_point = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        mounted = options.split(",") if kind == "cgroup" else [""] if kind == "cgroup2" else []
        for name in own.keys() & set(mounted):
            places[name] = _below(mount_point, root, own[name])
    return places


def _below(mount_point: str, root: str, path: str) -> str:
    inside = path[len(root) :] if root != "/" and path.startswith(root) else path
    return mount_point + inside.rstrip("/")


def _make(parent: str | None) -> str | None:
    if parent is None:
        return None
    _sweep(parent)
    folder = f"{parent}/{_NAME}{os.getpid()}"
    try:
        os.mkdir(folder)
    except OSError:
        return None
    return folder


def _sweep(parent: str) -> None:
    """Remove what a killed supervisor left behind."""
    try:
        names = os.listdir(parent)
    except OSError:
        return
    for name in names:
        pid = name.removeprefix(_NAME)
        if pid != name and not os.path.exists(f"/proc/{pid}"):
            _removed(f"{parent}/{name}")


def _removed(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _counter(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read(folder: str, name: str) -> str:
    try:
        with open(f"{folder}/{name}") as file:
            return file.read()
    except OSError:
        return ""


def _write(folder: str, name: str, value: str) -> None:
    with open(f"{folder}/{name}", "w") as file:
        file.write(value)
