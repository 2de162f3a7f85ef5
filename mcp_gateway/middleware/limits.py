"""How often, and for how much at once, each caller may call."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from mcp_gateway.call import Call
from mcp_gateway.errors import RateLimited
from mcp_gateway.middleware import Next
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Raw

CALLERS: Final = 4096
"""Callers whose use is remembered; idle ones seen longest ago are forgotten first (our choice)."""

SOON_S: Final = 1.0
"""When to try again where only the end of another call tells (our choice)."""


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What every caller may who has no allowance of its own. `burst` calls at once before the rate holds."""

    rate_per_s: float | None = None
    burst: int | None = None


@dataclass(slots=True)
class _Use:
    """One caller: a token bucket (`tokens` as of `at_s`), and calls under way."""

    tokens: float
    at_s: float
    in_flight: int = 0


class LimitsMiddleware:
    """A caller's own allowance counts before what everybody may."""

    def __init__(self, limits: CallLimits) -> None:
        self.limits = limits
        self._uses: OrderedDict[str, _Use] = OrderedDict()

    async def __call__(self, call: Call, proceed: Next) -> Raw:
        """Raises RateLimited, with the seconds to wait."""
        with self.counted(call.principal):
            return await proceed(call)

    @contextmanager
    def counted(self, principal: Principal) -> Iterator[None]:
        """One call, as long as the block lasts. Raises RateLimited, with the seconds to wait."""
        allowance = principal.allowance
        rate_per_s = self.limits.rate_per_s if allowance.rate_per_s is None else allowance.rate_per_s
        if rate_per_s is None and allowance.concurrency is None:
            yield
            return
        use = self._use(principal.id)
        if allowance.concurrency is not None and use.in_flight >= allowance.concurrency:
            raise _refusal(f"{allowance.concurrency} calls of this key are under way already", SOON_S)
        if rate_per_s is not None:
            self._take(use, rate_per_s)
        use.in_flight += 1
        try:
            yield
        finally:
            use.in_flight -= 1

    def _use(self, id: str) -> _Use:
        use = self._uses.get(id)
        if use is None:
            use = self._uses[id] = _Use(tokens=float("inf"), at_s=time.monotonic())
            self._forget()
        self._uses.move_to_end(id)
        return use

    def _forget(self) -> None:
        while len(self._uses) > CALLERS:
            idle = next((id for id, use in self._uses.items() if not use.in_flight), None)
            if idle is None:
                return
            del self._uses[idle]

    def _take(self, use: _Use, rate_per_s: float) -> None:
        """One token of the bucket: it fills with the rate, up to the burst."""
        size = max(1.0, rate_per_s) if self.limits.burst is None else float(self.limits.burst)
        now_s = time.monotonic()
        use.tokens = min(size, use.tokens + (now_s - use.at_s) * rate_per_s)
        use.at_s = now_s
        if use.tokens < 1.0:
            raise _refusal(f"more than {rate_per_s:g} calls a second", (1.0 - use.tokens) / rate_per_s)
        use.tokens -= 1.0


def _refusal(reason: str, wait_s: float) -> RateLimited:
    refusal = RateLimited(f"{reason}; try again in {wait_s:.1f} s")
    refusal.retry_after_s = wait_s
    return refusal
