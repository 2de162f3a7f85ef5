"""One end of a pipe, handed to an event loop that closes it exactly once.

asyncio closes the object it was given. uvloop 0.22 closes the descriptor itself and the
object a moment later, when the number may already belong to another pipe, file or socket
(measured on 2026-11-24): closing the object must do nothing there.
"""

from __future__ import annotations

import asyncio
import os
from io import FileIO


class PipeEnd:
    """What `connect_read_pipe` and `connect_write_pipe` take. Made inside the running loop; owns `fd`."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._ours_to_close = isinstance(asyncio.get_running_loop(), asyncio.BaseEventLoop)

    @classmethod
    def taken_from(cls, pipe: FileIO) -> PipeEnd:
        """The same end under a descriptor of our own; `pipe` is closed."""
        with pipe:
            return cls(os.dup(pipe.fileno()))

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._ours_to_close:
            self._ours_to_close = False
            os.close(self._fd)
