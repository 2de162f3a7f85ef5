"""The file of pinned definitions: one per configuration file, shared by every process that uses it.

Books of `pins` enter and leave. Gateways and commands write it side by side, so each takes
the lock, reads, enters its own changes and writes. A file that cannot be read is an error and
never an empty book: whoever can break the file must not have everything trusted anew (R-PIN-1).

All methods block on the disk; the event loop calls them in a worker thread.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from mcp_gateway.errors import PinsUnreadable
from mcp_gateway.security.file_lock import LockTimeout, file_lock
from mcp_gateway.security.pins import Book, Change, apply
from mcp_gateway.security.private_file import make_private, write_private

FORMAT: Final = 1
"""Grows when the file's shape changes; other formats are not read."""

WRITE_WITHIN_S: Final = 5.0
"""How long a command waits for other writers. Our choice: a write takes milliseconds."""


class _File(msgspec.Struct, frozen=True):
    format: int
    servers: Book


class PinFile:
    """The pins of one configuration file, in a file of the state folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Book:
        """What is pinned; nothing where there is no file yet. Raises PinsUnreadable."""
        try:
            file = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (OSError, ValueError, RecursionError) as unusable:
            raise PinsUnreadable(self.path.name, type(unusable).__name__) from None
        if file.format != FORMAT:
            raise PinsUnreadable(self.path.name, f"format {file.format}, expected {FORMAT}")
        return file.servers

    def update(self, changes: Iterable[Change], within_s: float = WRITE_WITHIN_S) -> Book:
        """Enter changes into what the file holds by now, and return all of it; others have `within_s` seconds to end.

        Raises:
            PinsUnreadable: the file is as it was.
            OSError: it cannot be written, or as a TimeoutError: another process does; the file is as it was.
        """
        with self._lock(within_s):
            book = self.read()
            if apply(book, changes):
                write_private(self.path, msgspec.json.encode(_File(FORMAT, book)))
        return book

    @contextmanager
    def _lock(self, within_s: float) -> Iterator[None]:
        """Held for one reading and writing. The lock is another file, since ours is replaced."""
        make_private(self.path.parent)
        try:
            with file_lock(self.path.with_suffix(".lock"), within_s):
                yield
        except LockTimeout:
            raise TimeoutError(errno.ETIMEDOUT, f"another process has held it for {within_s:g} s") from None
