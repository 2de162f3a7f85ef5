"""Paths that a caller names, below folders that the configuration names.

A text and the allowed folders enter; a real folder, or the bytes of a file, leave. Nothing outside is reached, not by
`..`, not by a symbolic link, not by one that is put there meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from mcp_gateway.errors import InvalidParams

_MAX_PATH_CHARS = 4096


def folder_below(text: str, roots: Sequence[Path], setting: str) -> Path:
    """An allowed folder, absolute and free of links. Raises InvalidParams."""
    for root, parts in _places(text, roots):
        with _closing(_open_below(root, parts, os.O_DIRECTORY)) as descriptor:
            if descriptor is not None:
                return root.joinpath(*parts)
    raise _refused("folder", setting)


def file_below(text: str, roots: Sequence[Path], setting: str, max_bytes: int) -> bytes:
    """The content of an allowed regular file, at most `max_bytes`. Raises InvalidParams."""
    for root, parts in _places(text, roots):
        with _closing(_open_below(root, parts, os.O_NONBLOCK)) as descriptor:
            if descriptor is not None:
                return _read(descriptor, max_bytes)
    raise _refused("file", setting)


def _places(text: str, roots: Sequence[Path]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Where the text may mean: each root it can lie in, resolved, and the steps from there."""
    if "\0" in text or len(text) > _MAX_PATH_CHARS or not text:
        raise InvalidParams("the path is empty, too long, or holds a NUL character")
    path = PurePath(text)
    for configured in roots:
        root = configured.resolve()
        for base in {configured, root}:
            steps = path.relative_to(base) if path.is_relative_to(base) else path
            if not steps.is_absolute() and ".." not in steps.parts:
                yield root, steps.parts


def _open_below(root: Path, parts: tuple[str, ...], flags: int) -> int | None:
    """A descriptor, reached step by step without following a link; None when there is no such thing."""
    walk = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        here = os.open(root, walk | os.O_DIRECTORY)
    except OSError:
        return None
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        try:
            below = os.open(part, walk | (flags if last else os.O_DIRECTORY), dir_fd=here)
        except (OSError, UnicodeEncodeError):
            return None
        finally:
            os.close(here)
        here = below
    return here


@contextmanager
def _closing(descriptor: int | None) -> Iterator[int | None]:
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _read(descriptor: int, max_bytes: int) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidParams("the path names no regular file")
    content = bytearray()
    while part := os.read(descriptor, min(1 << 20, max_bytes + 1 - len(content))):
        content += part
        if len(content) > max_bytes:
            raise InvalidParams(f"the file has {max(status.st_size, len(content))} bytes; at most {max_bytes} are read")
    return bytes(content)


def _refused(kind: str, setting: str) -> InvalidParams:
    """Missing and forbidden look the same from outside."""
    return InvalidParams(f"there is no such {kind} below {setting}, or its path goes through a symbolic link")
