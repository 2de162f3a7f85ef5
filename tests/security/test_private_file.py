"""Files of the state folder: whole, private, and on the disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from mcp_gateway.security.private_file import write_private


def test_what_was_written_is_there_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "state" / "file"
    write_private(path, b"old")
    write_private(path, b"new")

    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_the_content_is_on_the_disk_before_its_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, fsync = tmp_path / "file", os.fsync
    path.write_bytes(b"old")
    synced: list[tuple[bool, bytes]] = []

    def note(descriptor: int) -> None:
        synced.append((stat.S_ISDIR(os.fstat(descriptor).st_mode), path.read_bytes()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)  # power cannot be cut here
    write_private(path, b"new")
    assert synced == [(False, b"old"), (True, b"new")]

    write_private(path, b"light", durable=False)
    assert len(synced) == 2
    assert path.read_bytes() == b"light"


def test_a_folder_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        write_private(path, b"new")
    assert list(tmp_path.iterdir()) == [path]
