"""One writer at a time, among the threads and processes of this machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.02
"""Between two attempts; `flock` itself knows no deadline. Our choice."""


class LockTimeout(Exception):
    """Somebody else has held the lock all the time."""


@contextmanager
def file_lock(path: Path, within_s: float) -> Iterator[None]:
    """Hold the lock of a file, which is made and stays; the system lets go of it when the process ends.

    Raises:
        LockTimeout: not within `within_s` seconds.
        OSError: the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _take(descriptor, time.monotonic() + within_s)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, until_monotonic_s: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until_monotonic_s:
                raise LockTimeout from None
            time.sleep(_POLL_S)  # the holder announces nothing
        else:
            return
