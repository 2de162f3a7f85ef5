"""When somebody is told: conditions that begin or end, once each, to the log and to whoever listens.

Events and readings enter, an `Alert` leaves for each change. Nothing here sends anything.

    upstream_down   a server is parked, refuses our credentials, or has not been reached for DOWN_AFTER_S
    error_rate      more than this share of a server's calls within the window failed
    latency         the 95th percentile of a server's calls within the window is above this
    memory          the gateway's resident memory is above this
    cache_off       the disk tier of the cache is not usable
    login_expiring  a login of a server ends soon, or has ended, and cannot be renewed
    key_expiring    an API key ends soon, or has ended
    disk            the record of calls cannot be written, or little space is left beside it
"""

from __future__ import annotations

import logging
import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
from anyio import to_thread

from mcp_gateway.events import CANCELLED, OK, CallEnded, Event, ServerStateChanged
from mcp_gateway.observe.reading import Ending, Reading

logger = logging.getLogger(__name__)

EVERY_S: Final = 15.0
"""How often conditions are looked at; a changed state of a server is looked at at once (our choice)."""

DOWN_AFTER_S: Final = 30.0
"""A server that is being redialled is not worth an alert sooner (our choice)."""

MIN_CALLS: Final = 10
"""Fewer calls within the window say nothing about a server (our choice)."""

MAX_CALLS: Final = 1000
"""The calls of a server that are looked at: its last ones within the window, about 100 kB (our choice)."""

MIN_FREE_BYTES: Final = 100 * 1024**2
"""Space below which the disk is said to be full (our choice)."""

EASE: Final = 0.9
"""A condition that holds ends only below this part of its limit, so that it does not flutter (our choice)."""

SOON_PART: Final = 0.25
"""What lives shortly ends soon only within this part of its life (our choice)."""

_CALLERS_OWN: Final = frozenset(
    {
        OK,
        CANCELLED,
        "invalid_params",
        "unknown_name",
        "unknown_method",
        "message_too_large",
        "forbidden",
        "rate_limited",
    }
)
"""Outcomes that say nothing against the server."""


class Phase(StrEnum):
    """Whether a condition has begun or ended."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertRules:
    """Limits; None: not watched. `error_rate` is a share, the others seconds and bytes."""

    error_rate: float = 0.5
    window_s: float = 300.0
    latency_s: float | None = None
    memory_bytes: int | None = None
    expiry_s: float | None = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One change. `server` is None for what concerns the whole gateway; `at` is in epoch seconds.

    `key` is the name of an API key.
    """

    name: str
    phase: Phase
    server: str | None
    text: str
    at: float
    key: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a webhook gets it; `key` only where there is one."""
        return {
            "alert": self.name,
            "state": self.phase.value,
            "server": self.server,
            "text": self.text,
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            **({} if self.key is None else {"key": self.key}),
        }


class Condition(NamedTuple):
    """An alert's name, and the server or the API key that it is about."""

    name: str
    server: str | None = None
    key: str | None = None


@dataclass(slots=True)
class _Window:
    """The last calls of one server: when each ended (monotonic), whether it failed, how long it took."""

    calls: deque[tuple[float, bool, float]] = field(default_factory=lambda: deque(maxlen=MAX_CALLS))

    def since(self, oldest_s: float) -> list[tuple[float, bool, float]]:
        while self.calls and self.calls[0][0] < oldest_s:
            self.calls.popleft()
        return list(self.calls)


class Alerts:
    """Hears of calls and servers; `run` looks at the conditions; `tell` gets each change."""

    def __init__(
        self,
        rules: AlertRules,
        read: Callable[[], Reading],
        tell: Callable[[Alert], None],
        disk: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], float] = time.time,
    ) -> None:
        """`disk` is a folder beside the record of calls; `clock` is monotonic, `today` tells epoch seconds."""
        self._rules = rules
        self.every_s = EVERY_S
        self._read = read
        self._tell = tell
        self._disk = disk
        self._clock = clock
        self._today = today
        self._windows: dict[str, _Window] = {}
        self._down_at_s: dict[str, float] = {}
        self._firing: dict[Condition, str] = {}
        self._rung = anyio.Event()

    @property
    def firing(self) -> Mapping[Condition, str]:
        """What holds now, and what was said of it."""
        return self._firing

    def configure(self, rules: AlertRules) -> None:
        """Take over changed limits; servers may have come and gone, so the conditions are looked at."""
        self._rules = rules
        self._rung.set()

    def hear(self, event: Event) -> None:
        """An event listener."""
        if isinstance(event, CallEnded):
            if event.server is not None:
                window = self._windows.get(event.server) or self._windows.setdefault(event.server, _Window())
                window.calls.append((self._clock(), event.outcome not in _CALLERS_OWN, event.duration_s))
        elif isinstance(event, ServerStateChanged):
            self._rung.set()

    async def run(self) -> None:
        """Look at the conditions, until cancelled."""
        while True:
            free_bytes = await to_thread.run_sync(_free_bytes, self._disk)
            self.check(free_bytes)
            with anyio.move_on_after(self.every_s):
                await self._rung.wait()
            self._rung = anyio.Event()

    def check(self, free_bytes: int | None = None) -> None:
        """Tell of every condition that has begun or ended. `free_bytes` is the space on the disk, None if unknown."""
        now = self._read()
        holding = self._servers(now) | self._calls(now) | self._process(now, free_bytes) | self._endings(now)
        for condition, text in holding.items():
            if condition not in self._firing:
                self._change(Phase.FIRING, condition, text)
        for condition in self._firing.keys() - holding.keys():
            self._change(Phase.RESOLVED, condition, "is over")
        self._firing = holding

    def _change(self, phase: Phase, condition: Condition, text: str) -> None:
        name, server, key = condition
        level = logging.WARNING if phase is Phase.FIRING else logging.INFO
        logger.log(level, "alert.%s alert=%s server=%s text=%r", phase, name, server or "-", text)
        self._tell(Alert(name, phase, server, text, self._today(), key))

    # -- conditions ----------------------------------------------------------------------------------------------

    def _servers(self, now: Reading) -> dict[Condition, str]:
        """What is being connected is neither up nor down: a parked server is tried again and again."""
        for server in self._down_at_s.keys() - now.states.keys():
            del self._down_at_s[server]
        for server, state in now.states.items():
            if state in ("parked", "needs_auth"):
                self._down_at_s[server] = 0.0
            elif state == "backoff":
                self._down_at_s.setdefault(server, self._clock() + DOWN_AFTER_S)
            elif state != "connecting":
                self._down_at_s.pop(server, None)
        return {
            Condition("upstream_down", server): f"upstream {server!r} is {now.states[server]}"
            for server, at_s in self._down_at_s.items()
            if self._clock() >= at_s
        }

    def _calls(self, now: Reading) -> dict[Condition, str]:
        for server in self._windows.keys() - now.states.keys():
            del self._windows[server]
        holding: dict[Condition, str] = {}
        for server, window in self._windows.items():
            calls = window.since(self._clock() - self._rules.window_s)
            if len(calls) < MIN_CALLS:
                continue
            rate = sum(failed for _, failed, _ in calls) / len(calls)
            failing, slow = Condition("error_rate", server), Condition("latency", server)
            if rate >= self._limit(failing, self._rules.error_rate):
                holding[failing] = f"{rate:.0%} of the last {len(calls)} calls to {server!r} failed"
            slow_s = sorted(duration_s for *_, duration_s in calls)[int(len(calls) * 0.95)]
            if self._rules.latency_s is not None and slow_s > self._limit(slow, self._rules.latency_s):
                holding[slow] = f"one call in twenty to {server!r} takes {slow_s:.3g} s or more"
        return holding

    def _process(self, now: Reading, free_bytes: int | None) -> dict[Condition, str]:
        holding: dict[Condition, str] = {}
        limit = self._rules.memory_bytes
        if limit is not None and now.memory_bytes > self._limit(Condition("memory"), limit):
            holding[Condition("memory")] = f"the gateway takes {now.memory_bytes // 1024**2} MiB"
        if now.cache_state == "down":
            holding[Condition("cache_off")] = "answers are kept in memory only: the cache's file is not usable"
        if now.record_failure is not None:
            holding[Condition("disk")] = f"calls are not recorded: {now.record_failure}"
        elif free_bytes is not None and free_bytes < MIN_FREE_BYTES:
            holding[Condition("disk")] = f"{free_bytes // 1024**2} MiB are left on the disk of the state folder"
        return holding

    def _endings(self, now: Reading) -> dict[Condition, str]:
        """A login of a server that has left the configuration is nobody's."""
        return {
            Condition("login_expiring" if ending.key is None else "key_expiring", ending.server, ending.key): _said(
                ending
            )
            for ending in now.endings
            if (ending.server is None or ending.server in now.states) and self._is_near(ending)
        }

    def _is_near(self, ending: Ending) -> bool:
        if self._rules.expiry_s is None:
            return False
        life_s = float("inf") if ending.lasts_s is None else ending.lasts_s
        return ending.at - self._today() <= min(self._rules.expiry_s, life_s * SOON_PART)

    def _limit(self, condition: Condition, limit: float) -> float:
        return limit * EASE if condition in self._firing else limit


def _said(ending: Ending) -> str:
    moment = datetime.fromtimestamp(ending.at, UTC)
    return f"{ending.what} ends at {moment:%Y-%m-%d %H:%M} UTC; {ending.fix}"


def _free_bytes(folder: Path) -> int | None:
    """Space left where the folder is, or will be; None where that cannot be told."""
    try:
        return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
    except OSError:
        return None
