"""How many calls are on their way, and a way to wait until there are none."""

from __future__ import annotations

import anyio


class InFlight:
    """Entered by every call: `with in_flight`."""

    def __init__(self) -> None:
        self.count = 0
        self._none = anyio.Event()
        self._none.set()

    def __enter__(self) -> None:
        if not self.count:
            self._none = anyio.Event()
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
        if not self.count:
            self._none.set()

    async def none(self) -> None:
        """Return once no call is on its way."""
        await self._none.wait()
