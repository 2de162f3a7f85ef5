"""Files of the state folder: readable by their owner alone, replaced as a whole."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def make_private(folder: Path) -> None:
    """Make the folder, and those above it that are missing, for their owner alone. Raises OSError."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Write the file so that a reader sees the old or the new one, never a half.

    Raises:
        OSError: the folder cannot be written; the old file is as it was.
    """
    make_private(path.parent)
    # mkstemp creates the file readable by its owner alone, before anything is in it.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
