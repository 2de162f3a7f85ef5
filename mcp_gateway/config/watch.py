"""Notices that a configuration file, an `.env` file beside it or the stored secrets have changed.

Looks at the files themselves, twice a second: that sees a rename over the file, a
symbolic link pointed elsewhere and a network folder alike, and cannot run out of watches.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

from mcp_gateway.config.discover import folders
from mcp_gateway.config.environment import DOTENV, absolute
from mcp_gateway.config.model import Config
from mcp_gateway.security.vault_file import vault_file

POLL_S: Final = 0.5
"""Our choice: with the default debounce, a change is in force within a second."""

MAX_DEBOUNCES: Final = 10
"""A file that never comes to rest is read all the same after so many quiet times (our choice)."""

Signature = tuple[tuple[int, ...] | None, ...]
"""What tells one content from another, a file each; None for one that is not there."""


def sources(config: Config, environ: Mapping[str, str]) -> list[Path]:
    """The file itself, then every `.env` file it may take values from, then the stored secrets."""
    folder = config.path.parent
    names = dict.fromkeys((DOTENV, *config.env_files))
    return [config.path, *(absolute(name, folder, environ) for name in names), vault_file(folders(environ).state)]


async def changes(
    seen: Signature, files: Callable[[], Iterable[Path]], debounce_s: Callable[[], float]
) -> AsyncIterator[None]:
    """Yields when a file has changed and then been left alone for `debounce_s`; asks for both each time.

    `seen` is how the files were when they were read. While the first file is missing nothing has changed:
    it is being replaced.
    """
    while True:
        await anyio.sleep(POLL_S)
        now = await _look(files())
        for _ in range(MAX_DEBOUNCES):
            if now == seen:
                break
            await anyio.sleep(debounce_s())
            before, now = now, await _look(files())
            if before == now:
                break
        if now != seen and now[0] is not None:
            seen = now
            yield


async def _look(files: Iterable[Path]) -> Signature:
    return await anyio.to_thread.run_sync(signature, tuple(files), abandon_on_cancel=True)


def signature(files: Iterable[Path]) -> Signature:
    return tuple(map(_state, files))


def _state(file: Path) -> tuple[int, ...] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
