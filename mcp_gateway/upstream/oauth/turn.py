"""One at a time, among the tasks and processes of this machine, without holding up the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import anyio

from mcp_gateway.security.file_lock import LockTimeout, file_lock
from mcp_gateway.security.private_file import make_private

_POLL_S: Final = 0.02
"""Between two attempts. Our choice, as in `file_lock`."""


@asynccontextmanager
async def turn(path: Path, within_s: float) -> AsyncIterator[None]:
    """Hold the lock of a file; the system lets go of it when the process ends.

    Raises:
        TimeoutError: not within `within_s` seconds.
        OSError: the file cannot be made.
    """
    make_private(path.parent)
    with ExitStack() as held:
        with anyio.fail_after(within_s):
            while not _take(held, path):  # noqa: ASYNC110 - another process sets no event of ours
                await anyio.sleep(_POLL_S)
        yield


def _take(held: ExitStack, path: Path) -> bool:
    try:
        held.enter_context(file_lock(path, 0))
    except LockTimeout:
        return False
    return True
