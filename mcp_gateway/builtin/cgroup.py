"""What the control group of this process allows, version 1 and 2.

Reads only the files of the group and of those above it: the tightest limit counts.
Formats: Linux kernel documentation, admin-guide/cgroup-v1 and admin-guide/cgroup-v2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")

_V1_UNLIMITED: Final = 1 << 62
"""Version 1 writes a number near 2**63 for "no memory limit"."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, processors, processes; None where nothing limits."""

    memory: int | None
    cpu: float | None
    pids: int | None


def limits(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> Limits:
    """The limits of the process whose /proc/PID/cgroup is `membership`; never raises."""
    paths = _paths(membership)
    unified = _folders(root, paths.get("", "/"))
    memory_v1 = _folders(root / "memory", paths.get("memory", "/"))
    cpu_v1 = _folders(root / "cpu", paths.get("cpu", "/"))
    pids_v1 = _folders(root / "pids", paths.get("pids", "/"))
    memory = _least(
        [
            *(_number(folder / "memory.max") for folder in unified),
            *(_number(folder / "memory.limit_in_bytes") for folder in memory_v1),
        ]
    )
    return Limits(
        memory=int(memory) if memory is not None and memory < _V1_UNLIMITED else None,
        cpu=_least([*map(_share_v2, unified), *map(_share_v1, cpu_v1)]),
        pids=_whole(_least([_number(folder / "pids.max") for folder in (*unified, *pids_v1)])),
    )


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes: a limit, and what counts against it and cannot be given back."""

    limit: int
    used: int


def memory_use(root: Path = CGROUP_ROOT, membership: Path = MEMBERSHIP) -> MemoryUse | None:
    """Of all limits that hold for us the one that is nearest; None where nothing limits. Never raises.

    Pages of files are given back when memory is needed, so they do not count (memory.stat: active_file, inactive_file).
    """
    paths = _paths(membership)
    uses = [
        *(_use(folder, "memory.max", "memory.current") for folder in _folders(root, paths.get("", "/"))),
        *(
            _use(folder, "memory.limit_in_bytes", "memory.usage_in_bytes")
            for folder in _folders(root / "memory", paths.get("memory", "/"))
        ),
    ]
    return max((use for use in uses if use is not None), key=lambda use: use.used / use.limit, default=None)


def _use(folder: Path, limit_file: str, usage_file: str) -> MemoryUse | None:
    limit, usage = _number(folder / limit_file), _number(folder / usage_file)
    if not limit or usage is None or limit >= _V1_UNLIMITED:
        return None
    pairs = (line.partition(" ") for line in _read(folder / "memory.stat").splitlines())
    stat = {name: int(value) for name, _, value in pairs if value.isdigit()}
    prefix = "total_" if "total_active_file" in stat else ""  # version 1: with the groups below
    files = stat.get(f"{prefix}active_file", 0) + stat.get(f"{prefix}inactive_file", 0)
    return MemoryUse(limit, max(0, usage - files))


def _paths(membership: Path) -> dict[str, str]:
    """Controller -> path of our group below its hierarchy; the unified hierarchy has the name ''."""
    found: dict[str, str] = {}
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def _folders(root: Path, path: str) -> list[Path]:
    """Our group's folder and all above it. Inside a container the path may be one of the host: then the root counts."""
    own = root / path.lstrip("/")
    if ".." in own.parts or not own.is_dir():
        return [root]
    return list(_up_to(root, own))


def _up_to(root: Path, folder: Path) -> Iterator[Path]:
    while folder != root:
        yield folder
        folder = folder.parent
    yield root


def _share_v2(folder: Path) -> float | None:
    """`max 100000` or `50000 100000`: microseconds of processor time in a period."""
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _share_v1(folder: Path) -> float | None:
    return _ratio(_read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _least(values: list[float | None] | list[int | None]) -> float | None:
    return min((value for value in values if value is not None), default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text.isdigit() else None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
