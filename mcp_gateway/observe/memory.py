"""Whether memory is nearly used up, so that the gateway takes nothing new on before the kernel ends it.

Readings enter, a reason to shed calls or None leaves. It begins at one bound and ends at a farther one, so that it does
not flap; each change is one line in the log. What is done about it is not known here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio
import anyio.to_thread
import psutil

logger = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 1.0
"""Our choice: reading takes 0.3 ms (2026-11-24)."""

MIB: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Reading:
    """Bytes. `limit` is that of the container and `used` what counts against it; None where there is none."""

    total: int
    available: int
    limit: int | None = None
    used: int = 0


def of_machine(limit: int | None = None, used: int = 0) -> Reading:
    """What is true just now; the container's numbers are given."""
    memory = psutil.virtual_memory()
    return Reading(memory.total, memory.available, limit, used)


@dataclass(frozen=True, slots=True)
class Bound:
    """Where a container is too full, as a share, and what a machine must have free: a share, at most `free_bytes`."""

    share: float
    free_share: float
    free_bytes: int

    def passed(self, reading: Reading) -> str | None:
        """What is too full, None when nothing is."""
        if reading.limit is not None and reading.used >= self.share * reading.limit:
            return f"{reading.used // MIB} of the {reading.limit // MIB} MiB of this container are in use"
        if reading.available <= min(self.free_share * reading.total, self.free_bytes):
            return f"{reading.available // MIB} of {reading.total // MIB} MiB of this machine are free"
        return None


BEGIN: Final = Bound(share=0.92, free_share=0.04, free_bytes=256 * MIB)
END: Final = Bound(share=0.85, free_share=0.08, free_bytes=512 * MIB)
"""Our choice: the difference is more than what one large answer takes."""


class MemoryWatch:
    """`reason` says why nothing new should be taken on; None while there is room."""

    def __init__(self, read: Callable[[], Reading], every_s: float = LOOK_EVERY_S) -> None:
        self._read = read
        self._every_s = every_s
        self.reason: str | None = None
        self.episodes = 0

    async def run(self) -> None:
        """Look again and again, until cancelled. What cannot be read, for want of files say, changes nothing."""
        while True:
            try:
                self.note(await anyio.to_thread.run_sync(self._read))
            except (OSError, psutil.Error) as refused:
                logger.debug("memory.unreadable reason=%s", refused)
            await anyio.sleep(self._every_s)

    def note(self, reading: Reading) -> None:
        """Take one reading into account."""
        was_shedding = self.reason is not None
        self.reason = (END if was_shedding else BEGIN).passed(reading)
        if self.reason is not None and not was_shedding:
            self.episodes += 1
            logger.warning("memory.shedding reason=%s", self.reason)
        elif self.reason is None and was_shedding:
            logger.info("memory.recovered available_mib=%d", reading.available // MIB)
