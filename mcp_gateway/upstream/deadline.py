"""What a call's deadline does not count: sinks that move it, for signs of life and while a person is asked."""

from __future__ import annotations

import math

import anyio

from mcp_gateway.call import Sink
from mcp_gateway.wire import Raw, RawParams

MAX_EXTENDED_S = 3600.0
"""No call lasts longer, however much progress it reports. The specification asks for such a
maximum (2025-11-25, basic/lifecycle, timeouts) and leaves the figure to us."""

_ASKED_FOR = "deadline"


class ExtendingSink:
    """Passes everything on, and moves the deadline of `scope` with each progress notification.

    Progress is asked for even when the caller wants none; then it is not passed on.
    """

    def __init__(self, sink: Sink, scope: anyio.CancelScope, limit_s: float, latest_s: float) -> None:
        """`limit_s` is the time each progress gives, `latest_s` the end of all, both from now."""
        self.owner = sink.owner
        self.token: str | int | None = _ASKED_FOR if sink.token is None else sink.token
        self._sink = sink
        self._scope = scope
        self._limit_s = limit_s
        self._latest_monotonic_s = anyio.current_time() + latest_s

    def notify(self, method: str, params: RawParams) -> None:
        if method == "notifications/progress":
            if not math.isinf(self._scope.deadline):  # a clock that stands still goes on doing so
                self._scope.deadline = min(anyio.current_time() + self._limit_s, self._latest_monotonic_s)
            if self._sink.token is None:
                return
        self._sink.notify(method, params)

    async def request(self, method: str, params: RawParams) -> Raw:
        return await self._sink.request(method, params)


class PatientSink:
    """Passes everything on, and stops the clock of `scope` while its caller is asked; an answer starts it anew.

    A question that is refused gains nothing, so that nobody can put off the deadline by asking in vain. How long
    an answer may take is up to whoever is asked.
    """

    def __init__(self, sink: Sink, scope: anyio.CancelScope, limit_s: float) -> None:
        """`limit_s` is the time that the call has after each answer."""
        self.owner = sink.owner
        self.token = sink.token
        self._sink = sink
        self._scope = scope
        self._limit_s = limit_s
        self._asking = 0
        self._resume_at = math.inf

    def notify(self, method: str, params: RawParams) -> None:
        self._sink.notify(method, params)

    async def request(self, method: str, params: RawParams) -> Raw:
        if not self._asking:
            self._resume_at, self._scope.deadline = self._scope.deadline, math.inf
        self._asking += 1
        try:
            answer = await self._sink.request(method, params)
            self._resume_at = anyio.current_time() + self._limit_s
            return answer
        finally:
            self._asking -= 1
            if not self._asking:
                self._scope.deadline = self._resume_at
