"""Limits of control groups, read from folders made like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest
from mcp_gateway.builtin.cgroup import Limits, MemoryUse, limits, memory_use

MIB = 1024**2
NO_LIMIT_V1 = str(0x7FFF_FFFF_FFFF_F000)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


def membership(folder: Path, text: str) -> Path:
    path = folder / "membership"
    path.write_text(text)
    return path


def test_version_2_at_the_root_of_a_container(tmp_path: Path) -> None:
    root = write(tmp_path, {"memory.max": str(512 * MIB), "cpu.max": "150000 100000", "pids.max": "64"})

    assert limits(root, membership(tmp_path, "0::/\n")) == Limits(512 * MIB, 1.5, 64)


def test_version_2_without_limits(tmp_path: Path) -> None:
    root = write(tmp_path, {"memory.max": "max", "cpu.max": "max 100000", "pids.max": "max"})

    assert limits(root, membership(tmp_path, "0::/\n")) == Limits(None, None, None)


def test_version_2_takes_the_tightest_of_the_groups_above(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "system.slice/memory.max": str(256 * MIB),
            "system.slice/ours.service/memory.max": str(512 * MIB),
            "system.slice/ours.service/cpu.max": "50000 100000",
            "system.slice/pids.max": "100",
            "system.slice/ours.service/pids.max": "max",
        },
    )

    assert limits(root, membership(tmp_path, "0::/system.slice/ours.service\n")) == Limits(256 * MIB, 0.5, 100)


def test_version_1(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "memory/docker/abc/memory.limit_in_bytes": str(128 * MIB),
            "memory/memory.limit_in_bytes": NO_LIMIT_V1,
            "cpu/docker/abc/cpu.cfs_quota_us": "200000",
            "cpu/docker/abc/cpu.cfs_period_us": "100000",
            "pids/docker/abc/pids.max": "32",
        },
    )
    lines = "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n2:pids:/docker/abc\n1:name=systemd:/docker/abc\n"

    assert limits(root, membership(tmp_path, lines)) == Limits(128 * MIB, 2.0, 32)


def test_version_1_without_limits(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "memory/memory.limit_in_bytes": NO_LIMIT_V1,
            "cpu/cpu.cfs_quota_us": "-1",
            "cpu/cpu.cfs_period_us": "100000",
            "pids/pids.max": "max",
        },
    )

    assert limits(root, membership(tmp_path, "9:memory:/\n")) == Limits(None, None, None)


def test_a_path_of_the_host_that_a_container_does_not_see_means_the_root(tmp_path: Path) -> None:
    root = write(tmp_path, {"memory/memory.limit_in_bytes": str(64 * MIB)})

    assert limits(root, membership(tmp_path, "9:memory:/docker/of-the-host\n")).memory == 64 * MIB


@pytest.mark.parametrize("text", ["", "nonsense", "0::/../../etc\n", "::::", "\x00"])
def test_a_membership_that_is_none_means_the_root(tmp_path: Path, text: str) -> None:
    root = write(tmp_path / "cgroup", {"memory.max": "1000", "cpu.max": "nonsense", "pids.max": "-5"})

    assert limits(root, membership(tmp_path, text)) == Limits(1000, None, None)


def test_where_there_are_no_control_groups_there_are_no_limits(tmp_path: Path) -> None:
    assert limits(tmp_path / "nothing", tmp_path / "nobody") == Limits(None, None, None)


def test_this_machine_can_be_read() -> None:
    found = limits()

    assert found.memory is None or found.memory > 0


def test_what_can_be_given_back_does_not_count_as_used_in_version_2(tmp_path: Path) -> None:
    stat = f"anon 1\nfile {30 * MIB}\ninactive_file {20 * MIB}\nactive_file {10 * MIB}\nshmem 5"
    files = {"memory.max": str(100 * MIB), "memory.current": str(90 * MIB), "memory.stat": stat}

    assert memory_use(write(tmp_path, files), membership(tmp_path, "0::/\n")) == MemoryUse(100 * MIB, 60 * MIB)


def test_what_is_used_is_that_of_the_fullest_group(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "a/memory.max": str(100 * MIB),
            "a/memory.current": str(90 * MIB),
            "a/b/memory.max": str(50 * MIB),
            "a/b/memory.current": str(20 * MIB),
        },
    )

    assert memory_use(root, membership(tmp_path, "0::/a/b\n")) == MemoryUse(100 * MIB, 90 * MIB)


def test_version_1_counts_the_groups_below(tmp_path: Path) -> None:
    stat = f"active_file 1\ninactive_file 2\ntotal_active_file {MIB}\ntotal_inactive_file {2 * MIB}"
    root = write(
        tmp_path,
        {
            "memory/memory.limit_in_bytes": str(100 * MIB),
            "memory/memory.usage_in_bytes": str(10 * MIB),
            "memory/memory.stat": stat,
        },
    )

    assert memory_use(root, membership(tmp_path, "4:memory:/\n")) == MemoryUse(100 * MIB, 7 * MIB)


@pytest.mark.parametrize("files", [{}, {"memory.max": "max"}, {"memory/memory.limit_in_bytes": NO_LIMIT_V1}])
def test_without_a_limit_nothing_is_used(tmp_path: Path, files: dict[str, str]) -> None:
    assert memory_use(write(tmp_path, files), membership(tmp_path, "0::/\n")) is None
