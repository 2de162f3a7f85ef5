"""Progress of our own while a call is silent, for callers that gave a token.

Hosts drop calls that say nothing (Claude Code, Codex and the TypeScript SDK reset
their timeout on progress: hosts facts, 2.6). Progress must increase (2025-11-25,
basic/utilities/progress): ours stays between the upstream's values, and one of those
is changed only where it would not be above what the caller was told before, as in a
second round of a call that starts at 0 again.
"""

from __future__ import annotations

import math
import time

import anyio

from mcp_gateway.call import Call, Sink
from mcp_gateway.middleware import Next
from mcp_gateway.wire import Malformed, Raw, RawParams, loads

INTERVAL_S = 10.0
"""Silence that is broken (hosts facts, finding 7)."""

_STEP = 1e-6
"""What one heartbeat adds; smaller than any step a server reports."""


class Heartbeat:
    """Middleware: no more than `interval_s` of silence on calls with a progress token.

    `run` is its one task; without it no heartbeat is sent.
    """

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.interval_s = interval_s
        self._pulses: set[_Pulse] = set()

    async def __call__(self, call: Call, next: Next) -> Raw:
        if call.sink.token is None:
            return await next(call)
        pulse = _Pulse(call.sink)
        call.sink = pulse
        self._pulses.add(pulse)
        try:
            return await next(call)
        finally:
            self._pulses.discard(pulse)

    async def run(self) -> None:
        """Break the silence of every call that is due, until cancelled."""
        while True:
            await anyio.sleep(self.interval_s / 10)
            due_s = time.monotonic() - self.interval_s * 0.9
            for pulse in tuple(self._pulses):
                if pulse.spoke_s <= due_s:
                    pulse.beat()


class _Pulse:
    """A sink that remembers when it last spoke and how far progress had come."""

    def __init__(self, sink: Sink) -> None:
        self.owner = sink.owner
        self.token = sink.token
        self.started_s = self.spoke_s = time.monotonic()
        self._sink = sink
        self._told: float | None = None

    def notify(self, method: str, params: RawParams) -> None:
        if method == "notifications/progress":
            self.spoke_s = time.monotonic()
            params = self._increasing(params)
        self._sink.notify(method, params)

    def beat(self) -> None:
        self.spoke_s = time.monotonic()
        self._told = 0.0 if self._told is None else _just_above(self._told)
        running_s = self.spoke_s - self.started_s
        params = {"progress": self._told, "message": f"still running after {running_s:.0f} s"}
        self._sink.notify("notifications/progress", params)

    async def request(self, method: str, params: RawParams) -> Raw:
        return await self._sink.request(method, params)

    def _increasing(self, params: RawParams) -> RawParams:
        """The upstream's progress; where it has not passed what the caller was told, just above that."""
        progress = _number(params.get("progress"))
        if progress is None:
            return params
        if self._told is not None and progress <= self._told:
            progress = _just_above(self._told)
            params = {**params, "progress": progress}
        self._told = progress
        return params


def _just_above(progress: float) -> float:
    return max(progress + _STEP, math.nextafter(progress, math.inf))


def _number(value: object) -> float | None:
    """A progress value as a number; None when it is none, or too large for one."""
    try:
        plain = loads(value) if isinstance(value, Raw) else value
        return float(plain) if isinstance(plain, int | float) else None
    except (Malformed, OverflowError):
        return None
