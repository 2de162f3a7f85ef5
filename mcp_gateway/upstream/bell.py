"""What wakes a keeper: whoever wants it to look rings, and it looks once for all that rang."""

from __future__ import annotations

import anyio


class Bell:
    """Rung by any number of tasks, heard by one."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self, within_s: float | None) -> None:
        """Wait until it has been rung since it was last heard, at most `within_s`; None waits as long as it takes."""
        with anyio.move_on_after(within_s):
            await self._rung.wait()
        self._rung = anyio.Event()
