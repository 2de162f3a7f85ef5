"""The file of pinned definitions: one per configuration file, shared by every process that uses it.

Books of `pins` enter and leave. Gateways and commands write it side by side, so each takes
the lock, reads, enters its own changes and writes. A file that cannot be read is an error and
never an empty book: whoever can break the file must not have everything trusted anew (R-PIN-1).

All methods block on the disk; the event loop calls them in a worker thread.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from mcp_gateway.errors import PinsUnreadable
from mcp_gateway.security.pins import Book, Change, apply
from mcp_gateway.security.private_file import make_private, write_private

FORMAT: Final = 1
"""Grows when the file's shape changes; other formats are not read."""


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

    def update(self, changes: Iterable[Change]) -> Book:
        """Enter changes into what the file holds by now, and return all of it.

        Raises:
            PinsUnreadable: the file is as it was.
            OSError: it cannot be written; the file is as it was.
        """
        with self._lock():
            book = self.read()
            if apply(book, changes):
                write_private(self.path, msgspec.json.encode(_File(FORMAT, book)))
        return book

    @contextmanager
    def _lock(self) -> Iterator[None]:
        """Held for one reading and writing, so nobody waits long. The lock is another file, since ours is replaced."""
        make_private(self.path.parent)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
