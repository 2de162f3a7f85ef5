"""`sysinfo`: what this machine and this gateway are doing. No secret ever.

With `detail: basic`, the default, also nothing that identifies a person or the machine;
`full` adds host name, users, mounts and the largest processes, without their command lines.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from enum import StrEnum
from heapq import nlargest
from typing import Any, Final

import anyio.to_thread
import psutil
from pydantic import BaseModel, Field

from mcp_gateway import __version__
from mcp_gateway.builtin import cgroup
from mcp_gateway.builtin.functions import Arguments, Context, builtin

PROCESSES_SHOWN: Final = 10
"""Processes listed with `detail: full`, the largest ones (our choice)."""

CPU_SAMPLE_S: Final = 0.1
"""How long the processor is watched for its load (psutil advises at least 0.1 s)."""


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
    """Report on the machine and on this gateway with its upstream servers; sizes in bytes, times in seconds.

    Never holds addresses, environments or command lines.
    """
    wanted = list(dict.fromkeys(arguments.sections or Section))
    detailed = getattr(context.settings, "detail", "basic") == "full"
    found = await anyio.to_thread.run_sync(lambda: {name: _read(name, detailed) for name in wanted if name in _READERS})
    if Section.GATEWAY in wanted:
        found[Section.GATEWAY] = dict(context.health())
    return SysinfoResult(sections={name: found[name] for name in wanted})


def _read(section: Section, detailed: bool) -> dict[str, Any]:
    more = _DETAILS.get(section) if detailed else None
    return {**_READERS[section](), **(more() if more else {})}


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
        "percent": psutil.cpu_percent(interval=CPU_SAMPLE_S),
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
    limits = asdict(cgroup.limits())
    return {f"{name}_limit": limit for name, limit in limits.items()}


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


def _host() -> dict[str, Any]:
    return {"host": platform.node(), "users": sorted({user.name for user in psutil.users()})}


def _mounts() -> dict[str, Any]:
    return {"mounts": [{"path": mount.mountpoint, "type": mount.fstype} for mount in psutil.disk_partitions()]}


def _processes() -> dict[str, Any]:
    seen = [
        {"pid": process.pid, "name": process.info["name"], "rss": process.info["memory_info"].rss}
        for process in psutil.process_iter(["name", "memory_info"])
        if process.info["memory_info"] is not None
    ]
    return {"processes": len(seen), "largest": nlargest(PROCESSES_SHOWN, seen, key=lambda each: int(each["rss"]))}


_READERS: dict[Section, Callable[[], dict[str, Any]]] = {
    Section.SYSTEM: _system,
    Section.CPU: _cpu,
    Section.MEMORY: _memory,
    Section.DISK: _disk,
    Section.CONTAINER: _container,
    Section.PROCESS: _process,
}

_DETAILS: dict[Section, Callable[[], dict[str, Any]]] = {
    Section.SYSTEM: _host,
    Section.DISK: _mounts,
    Section.PROCESS: _processes,
}
"""What `detail: full` adds."""
