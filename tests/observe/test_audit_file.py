"""The record on disk: private, appended, rotated."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from mcp_gateway.observe.audit_file import AuditFile

from tests.fakes.clock import Clock

DAY_S = 86_400.0


def contents(file: AuditFile) -> list[bytes]:
    return [path.read_bytes() for path in file.files()]


def test_lines_are_appended_for_the_owner_alone(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "state" / "audit", "key")
    file.append([b"one"], DAY_S)
    file.append([b"two", b"three"], DAY_S)

    (path,) = file.files()
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_full_file_is_followed_by_another(tmp_path: Path) -> None:
    file = AuditFile(tmp_path, "key", max_file_bytes=4)
    for line in (b"one", b"two", b"three"):
        file.append([line], DAY_S)

    assert contents(file) == [b"one\n", b"two\n", b"three\n"]


def test_the_oldest_files_beyond_the_limit_are_removed(tmp_path: Path) -> None:
    file = AuditFile(tmp_path, "key", max_file_bytes=1, max_files=10)
    for number in range(12):
        file.append([b"%d" % number], DAY_S)

    assert contents(file) == [b"%d\n" % number for number in range(2, 12)]


def test_files_older_than_records_are_kept_are_removed(tmp_path: Path) -> None:
    clock = Clock()
    file = AuditFile(tmp_path, "key", clock=clock)
    file.append([b"old"], DAY_S)
    (old,) = file.files()
    os.utime(old, (clock(), clock()))
    clock.advance(DAY_S * 1.5)
    file.append([b"new"], DAY_S)

    assert contents(file) == [b"new\n"]


def test_other_records_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    other = AuditFile(tmp_path, "other")
    other.append([b"theirs"], DAY_S)
    file = AuditFile(tmp_path, "key", max_file_bytes=1, max_files=1)
    file.append([b"one"], DAY_S)
    file.append([b"two"], DAY_S)

    assert (contents(file), contents(other)) == ([b"two\n"], [b"theirs\n"])


def test_a_link_put_in_its_place_is_not_followed(tmp_path: Path) -> None:
    file = AuditFile(tmp_path / "audit", "key")
    file.append([b"one"], DAY_S)
    (path,) = file.files()
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic"):
        file.append([b"two"], DAY_S)
    assert not (tmp_path / "elsewhere").exists()
