"""The life of one upstream connection as a pure state machine.

Facts enter (connected, failed, used), the next state and the next delay leave.
There is no clock, no randomness and no I/O in here: both are arguments.

    disabled                         switched off in the file
    idle ──use──> connecting         lazy, or stopped for want of use
    connecting ──ok──> ready         ready ──end──> backoff
               ──fails──> backoff    backoff ──delay──> connecting
               ──fails too often──> parked       one half-open attempt each minute, or on use
               ──401, 403──> needs_auth          no attempt by itself; one on use

The delay grows as `first * 2**n`, is capped, and is drawn with full jitter (AWS
Architecture Blog, "Exponential Backoff And Jitter"). The count of failures goes
back to zero after `HEALTHY_AFTER_S` of service.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

PARKED_PROBE_S = 60.0
"""A parked upstream is tried again this often (security facts, 3.2)."""

ON_USE_INTERVAL_S = 5.0
"""A call may trigger an attempt at most this often (security facts, 3.2)."""

HEALTHY_AFTER_S = 60.0
"""Service that long resets the count of failures (security facts, 3.2)."""


class State(StrEnum):
    """Server states as REST and the command line show them (design, decision 9)."""

    DISABLED = "disabled"
    CONNECTING = "connecting"
    READY = "ready"
    BACKOFF = "backoff"
    PARKED = "parked"
    NEEDS_AUTH = "needs_auth"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """`restart: {max: 5, backoff: 0.5..30}`; seconds."""

    max_failures: int = 5
    first_s: float = 0.5
    cap_s: float = 30.0


@dataclass(slots=True)
class Lifecycle:
    """State, failure count and the time of the next attempt of one upstream.

    Moments are monotonic seconds of the caller's clock; `next_attempt_s` is `inf`
    when nothing but use will cause an attempt.
    """

    policy: RestartPolicy
    state: State = State.IDLE
    failures: int = 0
    next_attempt_s: float = math.inf
    last_attempt_s: float = -math.inf
    not_before_s: float = -math.inf
    ready_since_s: float | None = None

    def attempt(self, now_s: float) -> None:
        self.state = State.CONNECTING
        self.last_attempt_s = now_s
        self.next_attempt_s = math.inf

    def connected(self, now_s: float) -> None:
        self.state = State.READY
        self.ready_since_s = now_s

    def rest(self) -> None:
        """The connection was given up for want of use."""
        self.state = State.IDLE
        self.ready_since_s = None
        self.next_attempt_s = math.inf

    def renew(self, now_s: float) -> None:
        """The connection is to be replaced at once."""
        self.state = State.CONNECTING
        self.ready_since_s = None
        self.next_attempt_s = now_s
        self.not_before_s = -math.inf

    def failed(self, now_s: float, *, auth: bool, jitter: float, retry_after_s: float = 0.0) -> None:
        """An attempt failed, or a working connection ended.

        `jitter` is uniform in [0, 1). `retry_after_s` is how long the upstream asked to be left alone.
        """
        if self.ready_since_s is not None and now_s - self.ready_since_s >= HEALTHY_AFTER_S:
            self.failures = 0
        self.ready_since_s = None
        self.failures += 1
        # Three cases: 1. credentials refused; 2. failed too often; 3. an ordinary failure.
        if auth:
            self.state = State.NEEDS_AUTH
            self.next_attempt_s = math.inf
        elif self.failures > self.policy.max_failures:
            self.state = State.PARKED
            self.next_attempt_s = now_s + PARKED_PROBE_S
        else:
            self.state = State.BACKOFF
            self.next_attempt_s = now_s + jitter * self.delay_cap_s()
        self.not_before_s = now_s + retry_after_s
        self.next_attempt_s = max(self.next_attempt_s, self.not_before_s)

    def delay_cap_s(self) -> float:
        """The longest delay the current count of failures allows, in seconds."""
        return float(min(self.policy.cap_s, self.policy.first_s * 2.0 ** min(self.failures - 1, 32)))

    def used(self, now_s: float) -> bool:
        """A caller wants the upstream now: True when an attempt is due at once."""
        if self.state in (State.READY, State.CONNECTING, State.DISABLED):
            return False
        if now_s < self.not_before_s:
            return False
        if self.state is State.IDLE or now_s - self.last_attempt_s >= ON_USE_INTERVAL_S:
            self.next_attempt_s = now_s
            return True
        return False
