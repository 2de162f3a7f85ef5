"""The record of calls on disk: JSON lines, a file a day, for their owner alone.

Lines enter; files leave. Everything in here blocks and belongs into a worker thread.
Several gateways may write the same record: files are only appended to and removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mcp_gateway.security.private_file import make_private

MAX_FILE_BYTES: Final = 16 * 1024**2
"""About 40,000 calls (our choice); a full file is followed by another one of the same day."""

MAX_FILES: Final = 16
"""The oldest beyond these are removed, however long records are to be kept: 256 MiB (our choice)."""


class AuditFile:
    """Files `{name}-2026-11-24.1.jsonl` in a folder, in UTC; those untouched for `keep_s` seconds are removed."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_files: int = MAX_FILES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self._name = name
        self._max_file_bytes = max_file_bytes
        self._max_files = max_files
        self._clock = clock

    def append(self, lines: Sequence[bytes], keep_s: float) -> None:
        """Add lines, each without its line end. Raises OSError: some or none of them may be there."""
        make_private(self._folder)
        path = self._current()
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            _write_all(file.fileno(), b"".join(line + b"\n" for line in lines))
        self._remove_old(keep_s)

    def files(self) -> list[Path]:
        """Oldest first."""
        found = self._folder.glob(f"{self._name}-*.*.jsonl")
        return sorted(found, key=lambda path: (path.name.split(".")[0], _number(path)))

    def _current(self) -> Path:
        today = f"{self._name}-{datetime.fromtimestamp(self._clock(), UTC):%Y-%m-%d}"
        number = max((_number(path) for path in self._folder.glob(f"{today}.*.jsonl")), default=1)
        path = self._folder / f"{today}.{number}.jsonl"
        with suppress(FileNotFoundError):
            if path.stat().st_size >= self._max_file_bytes:
                return self._folder / f"{today}.{number + 1}.jsonl"
        return path

    def _remove_old(self, keep_s: float) -> None:
        files = self.files()
        surplus = files[: max(0, len(files) - self._max_files)]
        for path in files[:-1]:
            with suppress(FileNotFoundError):  # another gateway was faster
                if path in surplus or path.stat().st_mtime < self._clock() - keep_s:
                    path.unlink()


def _write_all(descriptor: int, data: bytes) -> None:
    """A disk that becomes full takes a part first and raises for the rest."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _number(path: Path) -> int:
    number = path.name.split(".")[1]
    return int(number) if number.isdecimal() else 1
