"""How often calls may be made: by each caller, of each upstream, of each tool; and how many each caller has at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from mcp_gateway.call import Call
from mcp_gateway.catalog.route import Kind, Route
from mcp_gateway.errors import RateLimited
from mcp_gateway.middleware import Next
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Raw

CALLERS: Final = 4096
"""Callers, upstreams and tools whose use is remembered; idle ones seen longest ago are forgotten first (our choice)."""

WITHIN_ASK: Final = "ask"
"""The door of the calls that `ask` makes in its caller's name."""

SOON_S: Final = 1.0
"""When to try again where only the end of another call tells (our choice)."""


@dataclass(frozen=True, slots=True)
class ServerRates:
    """What one upstream takes from all callers together; of `tools`, globs on its own names, the first that fits."""

    rate_per_s: float | None = None
    tools: Mapping[str, float] = field(default_factory=dict)

    def of(self, tool: str) -> float | None:
        """What this tool takes; every tool counts by itself."""
        return next((rate_per_s for glob, rate_per_s in self.tools.items() if fnmatchcase(tool, glob)), None)


@dataclass(frozen=True, slots=True)
class CallLimits:
    """What every caller may who has no allowance of its own. `burst` calls at once before the rate holds."""

    rate_per_s: float | None = None
    burst: int | None = None
    servers: Mapping[str, ServerRates] = field(default_factory=dict)


@dataclass(slots=True)
class _Use:
    """A token bucket (`tokens` as of `at_s`), and calls under way."""

    tokens: float = float("inf")
    at_s: float = field(default_factory=time.monotonic)
    in_flight: int = 0

    def fill(self, rate_per_s: float, size: float) -> float:
        """Take the time that went by into account; the seconds until there is a token."""
        now_s = time.monotonic()
        self.tokens = min(size, self.tokens + (now_s - self.at_s) * rate_per_s)
        self.at_s = now_s
        return max(0.0, (1.0 - self.tokens) / rate_per_s)


class LimitsMiddleware:
    """A caller's own allowance counts before what everybody may. A call that is refused uses nothing up."""

    def __init__(self, limits: CallLimits) -> None:
        self._limits = limits
        self._uses: OrderedDict[tuple[str, ...], _Use] = OrderedDict()

    def configure(self, limits: CallLimits) -> None:
        self._limits = limits

    async def __call__(self, call: Call, proceed: Next) -> Raw:
        """Raises RateLimited, with the seconds to wait."""
        with self.counted(call.principal, call.route, within=call.client.door == WITHIN_ASK):
            return await proceed(call)

    @contextmanager
    def counted(self, principal: Principal, route: Route | None = None, *, within: bool = False) -> Iterator[None]:
        """One call, as long as the block lasts. Raises RateLimited, with the seconds to wait.

        `within` another call of the same caller it takes from the rates only: the other one counts as under way.
        """
        concurrency = None if within else principal.allowance.concurrency
        use = None if concurrency is None else self._use(("caller", principal.id))
        if use is not None and concurrency is not None and use.in_flight >= concurrency:
            raise _refusal(f"{concurrency} calls of this key are under way already", SOON_S)
        self._take(principal, route)
        if use is None:
            yield
            return
        use.in_flight += 1
        try:
            yield
        finally:
            use.in_flight -= 1

    def _take(self, principal: Principal, route: Route | None) -> None:
        """A token of every bucket, or none. Raises RateLimited."""
        uses = []
        for key, rate_per_s, what in self._rates(principal, route):
            use = self._use(key)
            wait_s = use.fill(rate_per_s, self._burst(key, rate_per_s))
            if wait_s > 0:
                raise _refusal(f"more than {rate_per_s:g} calls a second{what}", wait_s)
            uses.append(use)
        for use in uses:
            use.tokens -= 1.0

    def _rates(self, principal: Principal, route: Route | None) -> Iterator[tuple[tuple[str, ...], float, str]]:
        """The buckets that the call draws from: key, tokens a second, and how to call it."""
        allowed_per_s = principal.allowance.rate_per_s
        rate_per_s = self._limits.rate_per_s if allowed_per_s is None else allowed_per_s
        if rate_per_s is not None:
            yield ("caller", principal.id), rate_per_s, ""
        if route is None or route.server is None or (rates := self._limits.servers.get(route.server)) is None:
            return
        if rates.rate_per_s is not None:
            yield ("server", route.server), rates.rate_per_s, f" of server {route.server!r}"
        if route.kind is Kind.TOOL and (tool_per_s := rates.of(route.name)) is not None:
            yield ("tool", route.server, route.name), tool_per_s, f" of tool {route.exposed!r}"

    def _burst(self, key: tuple[str, ...], rate_per_s: float) -> float:
        """`burst` is the callers'; an upstream and a tool take one second's worth at once."""
        if key[0] == "caller" and self._limits.burst is not None:
            return float(self._limits.burst)
        return max(1.0, rate_per_s)

    def _use(self, key: tuple[str, ...]) -> _Use:
        use = self._uses.get(key)
        if use is None:
            use = self._uses[key] = _Use()
            self._forget()
        self._uses.move_to_end(key)
        return use

    def _forget(self) -> None:
        while len(self._uses) > CALLERS:
            idle = next((key for key, use in self._uses.items() if not use.in_flight), None)
            if idle is None:
                return
            del self._uses[idle]


def _refusal(reason: str, wait_s: float) -> RateLimited:
    refusal = RateLimited(f"{reason}; try again in {wait_s:.1f} s")
    refusal.retry_after_s = wait_s
    return refusal
