"""`sysinfo`: what this machine and this gateway are doing. Nothing that identifies a person or holds a secret."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

import anyio.to_thread
import psutil
from pydantic import BaseModel, Field

from mcp_gateway import __version__
from mcp_gateway.builtin.functions import Arguments, Context, builtin

_CGROUP = Path("/sys/fs/cgroup")
_CGROUP_V1_UNLIMITED = 1 << 62
"""cgroup v1 writes a number near 2**63 for "no limit"."""


class Section(StrEnum):
    """What may be asked for."""

    SYSTEM = "system"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    CONTAINER = "container"
    PROCESS = "process"
    GATEWAY = "gateway"


class SysinfoArguments(Arguments):
    """Which sections; all when left out."""

    sections: list[Section] = Field(default_factory=list, description="Sections to report; empty means all.")


class SysinfoResult(BaseModel):
    """One object per section; sizes in bytes, times in seconds."""

    sections: dict[Section, dict[str, Any]]


@builtin(
    title="System information", readOnlyHint=True, destructiveHint=False, idempotentHint=False, openWorldHint=False
)
async def sysinfo(arguments: SysinfoArguments, context: Context) -> SysinfoResult:
    """Report on the machine and on this gateway: system, cpu, memory, disk, container limits, process, upstreams.

    Reads only. Leaves out host name, user names, addresses, paths, environment and command lines.
    """
    wanted = arguments.sections or list(Section)
    readers: dict[Section, Callable[[], dict[str, Any]]] = {**_READERS, Section.GATEWAY: lambda: dict(context.health())}
    found = await anyio.to_thread.run_sync(lambda: {name: readers[name]() for name in wanted if name in _READERS})
    if Section.GATEWAY in wanted:
        found[Section.GATEWAY] = readers[Section.GATEWAY]()
    return SysinfoResult(sections={name: found[name] for name in wanted})


def _system() -> dict[str, Any]:
    return {
        "os": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "uptime_s": round(time.time() - psutil.boot_time()),
        "utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cpu() -> dict[str, Any]:
    load = os.getloadavg() if hasattr(os, "getloadavg") else (0.0, 0.0, 0.0)
    return {
        "logical": psutil.cpu_count(),
        "physical": psutil.cpu_count(logical=False),
        "percent": psutil.cpu_percent(interval=0.1),
        "load_1m_5m_15m": [round(value, 2) for value in load],
    }


def _memory() -> dict[str, Any]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    return {
        "total": memory.total,
        "available": memory.available,
        "percent": memory.percent,
        "swap_total": swap.total,
        "swap_used": swap.used,
    }


def _disk() -> dict[str, Any]:
    usage = psutil.disk_usage(os.sep)
    return {"total": usage.total, "used": usage.used, "free": usage.free, "percent": usage.percent}


def _container() -> dict[str, Any]:
    """Limits of the control group, None where there is none (Linux kernel documentation, cgroup-v2 and cgroup-v1)."""
    memory = _number(_CGROUP / "memory.max") or _number(_CGROUP / "memory" / "memory.limit_in_bytes")
    return {
        "memory_limit": memory if memory is not None and memory < _CGROUP_V1_UNLIMITED else None,
        "cpu_limit": _cpu_limit(),
        "pids_limit": _number(_CGROUP / "pids.max") or _number(_CGROUP / "pids" / "pids.max"),
    }


def _cpu_limit() -> float | None:
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
    except (OSError, ValueError):
        quota, period = (
            str(_number(_CGROUP / "cpu" / "cpu.cfs_quota_us")),
            str(_number(_CGROUP / "cpu" / "cpu.cfs_period_us")),
        )
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _process() -> dict[str, Any]:
    process = psutil.Process()
    with process.oneshot():
        return {
            "version": __version__,
            "python": sys.implementation.name,
            "rss": process.memory_info().rss,
            "threads": process.num_threads(),
            "open_files": process.num_fds() if hasattr(process, "num_fds") else None,
            "cpu_s": round(sum(process.cpu_times()[:2]), 2),
            "uptime_s": round(time.time() - process.create_time()),
        }


_READERS: dict[Section, Callable[[], dict[str, Any]]] = {
    Section.SYSTEM: _system,
    Section.CPU: _cpu,
    Section.MEMORY: _memory,
    Section.DISK: _disk,
    Section.CONTAINER: _container,
    Section.PROCESS: _process,
}
