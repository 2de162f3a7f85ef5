"""The record of calls: the latest in memory, all of them on disk.

`CallEnded` events enter; plain data leaves, and lines go to a file. Nothing in here
makes a call wait: what the disk does not take in time is dropped and counted, and a
disk that refuses costs a warning.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

import anyio
from anyio import to_thread

from mcp_gateway.events import CallEnded, Event
from mcp_gateway.observe.audit_file import AuditFile
from mcp_gateway.observe.fold import Fold
from mcp_gateway.wire import encode

logger = logging.getLogger(__name__)

LATEST: Final = 1000
"""Calls kept in memory, about 0.7 MB (our choice)."""

QUEUE: Final = 10_000
"""Calls that may wait for the disk, about 7 MB; more are dropped (our choice)."""

WRITE_AFTER_S: Final = 0.25
"""A line is written this long after the call, several at once (our choice)."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long calls are recorded, in seconds; None: not at all."""

    keep_s: float | None = 7 * 86_400.0


class Calls:
    """Hears of every call; `run` is its one task, `flush` writes what is left."""

    def __init__(self, file: AuditFile, keeping: Keeping, *, clock: Callable[[], float] = time.time) -> None:
        self._keeping = keeping
        self.dropped = 0
        self.failure: str | None = None
        """Why the disk does not take records, None while it does."""
        self._file = file
        self._clock = clock
        self._latest: deque[CallEnded] = deque(maxlen=LATEST)
        self._queue: deque[CallEnded] = deque()
        self._fold = Fold()
        self._wanted = anyio.Event()

    def configure(self, keeping: Keeping) -> None:
        self._keeping = keeping

    def hear(self, event: Event) -> None:
        """An event listener."""
        if not isinstance(event, CallEnded) or self._keeping.keep_s is None:
            return
        if event.refused:
            folded = self._fold.add(event)
            if folded is None:
                return
            event = folded
        self._latest.append(event)
        if len(self._queue) >= QUEUE:
            self.dropped += 1
            return
        self._queue.append(event)
        if len(self._queue) == 1:
            self._wanted.set()

    def latest(self, limit: int = LATEST, principal: str | None = None) -> list[dict[str, Any]]:
        """The newest first, none older than records are kept; of one principal, or of all."""
        keep_s = self._keeping.keep_s
        if keep_s is None:
            return []
        oldest = self._clock() - keep_s
        shown = (call for call in reversed(self._latest) if call.at >= oldest and principal in (None, call.principal))
        return [plain(call) for call in islice(shown, limit)]

    async def run(self) -> None:
        """Write what is heard, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            await anyio.sleep(WRITE_AFTER_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what has been heard so far."""
        batch = tuple(self._queue)
        self._queue.clear()
        keep_s = self._keeping.keep_s
        if not batch or keep_s is None:
            return
        try:
            await to_thread.run_sync(self._write, batch, keep_s, abandon_on_cancel=True)
        except OSError as refused:
            self._refused(refused.strerror or type(refused).__name__, len(batch))
        else:
            self._taken()

    def _write(self, batch: tuple[CallEnded, ...], keep_s: float) -> None:
        self._file.append([_line(plain(call)) for call in batch], keep_s)

    def _refused(self, reason: str, lost: int) -> None:
        self.dropped += lost
        if self.failure is None:
            logger.warning("calls.not_written reason=%s; calls go on unrecorded", reason)
        self.failure = reason

    def _taken(self) -> None:
        if self.failure is not None:
            logger.info("calls.written_again dropped=%d", self.dropped)
        self.failure = None


def plain(call: CallEnded) -> dict[str, Any]:
    """One call as REST and the file show it; `at` is ISO 8601 in UTC."""
    return {
        "at": datetime.fromtimestamp(call.at, UTC).isoformat(timespec="milliseconds"),
        "trace": call.trace,
        "span": call.span,
        "principal": call.principal,
        "client": call.client,
        "door": call.door,
        "method": call.method,
        "server": call.server,
        "tool": call.tool,
        "outcome": call.outcome,
        "duration_ms": round(call.duration_s * 1000, 3),
        "cached": call.cached,
        "arguments": call.arguments,
        "policy": call.policy,
        "count": call.count,
    }


def _line(call: dict[str, Any]) -> bytes:
    """JSON; a name from the configuration may hold half a surrogate pair, which only escapes can tell."""
    try:
        return encode(call)
    except UnicodeEncodeError:
        return json.dumps(call).encode()
