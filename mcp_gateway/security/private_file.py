"""Files of the state folder: readable by their owner alone, replaced as a whole."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from mcp_gateway.errors import BadConfig


def make_private(folder: Path) -> None:
    """Make the folder, and those above it that are missing, for their owner alone. Raises OSError."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def check_unshared(file: Path) -> None:
    """What decides which programs run may be written by its owner and group alone, and so may its folder (R-STDIO-1).

    A folder where only owners may remove or rename, such as the system's own for temporary files, is fine.

    Raises:
        BadConfig: everybody on this machine may change it.
    """
    folder = file.parent.stat().st_mode
    if file.stat().st_mode & stat.S_IWOTH:
        raise BadConfig(f"{file}: everybody on this machine may change it, and so what is run; chmod o-w {file}")
    if folder & stat.S_IWOTH and not folder & stat.S_ISVTX:
        raise BadConfig(f"{file}: everybody may replace it in its folder; chmod o-w {file.parent}")


def write_private(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Write the file so that a reader sees the old or the new one, never a half.

    That holds after a loss of power too where it is `durable`, which waits for the disk; what is learned anew need not
    be, above all where the event loop writes.

    Raises:
        OSError: the folder cannot be written; the old file is as it was.
    """
    make_private(path.parent)
    # mkstemp creates the file readable by its owner alone, before anything is in it.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    if durable:
        _sync(path.parent)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk, where it can be opened and its file system knows how."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
