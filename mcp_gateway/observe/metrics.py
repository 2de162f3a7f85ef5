"""Figures for Prometheus: what happens is counted as it happens, what is true now is read when somebody asks.

Events enter, a text exposition leaves. Labels are names from the configuration and from tables of
our own, never a stranger's text, so that nobody can make them grow (R-CAP-1).

Counting is adding to plain numbers; the library sees them when somebody asks. Its own counters and
histograms take locks, and cost a call 10 µs instead of 1 (2026-11-24).
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import accumulate
from typing import Final

import anyio
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString

from mcp_gateway.errors import CODES
from mcp_gateway.events import OUTCOMES, CallEnded, Event, ServerStateChanged
from mcp_gateway.observe.reading import Reading
from mcp_gateway.revisions import CALLS

NO_SERVER: Final = "-"
"""The label of what the gateway does itself: built-in tools, and names that lead nowhere."""

OTHER: Final = "other"

DURATIONS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latency histogram: from a kept answer to the default deadline (our choice)."""

LAGS_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)
LAG_EVERY_S: Final = 1.0
"""How often the event loop's lag is taken (our choice)."""

_OURS: Final = frozenset({NO_SERVER, OTHER})
_KNOWN: Final = frozenset({*OUTCOMES, *CODES})


class Metrics:
    """Hears of calls and of servers; `run` watches the event loop; `render` tells."""

    def __init__(self, names: Callable[[], Container[str]], read: Callable[[], Reading]) -> None:
        """`names` are the servers of the configuration in force, which are the only ones named."""
        self.lag_every_s = LAG_EVERY_S
        self._names = names
        self._read = read
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._runs: Counter[str] = Counter()
        self._connects: Counter[str] = Counter()
        self._durations: dict[str, _Histogram] = {}
        self._lag = _Histogram(LAGS_S)
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def hear(self, event: Event) -> None:
        """An event listener."""
        if isinstance(event, CallEnded):
            self._count(event)
        elif isinstance(event, ServerStateChanged) and event.state == "ready":
            self._connects[self._label(event.server)] += 1

    def _count(self, call: CallEnded) -> None:
        server = self._label(call.server)
        outcome = _among(_KNOWN, call.outcome)
        self._calls[server, _among(CALLS, call.method), outcome] += 1
        if server not in self._durations:
            self._durations[server] = _Histogram(DURATIONS_S)
        self._durations[server].add(call.duration_s)
        if call.server is None and call.tool == "execute":
            self._runs[outcome] += 1

    def _label(self, server: str | None) -> str:
        if server is None:
            return NO_SERVER
        return _among(self._names(), server)

    async def run(self) -> None:
        """Watch the event loop, until cancelled."""
        while True:
            due_s = time.monotonic() + self.lag_every_s
            await anyio.sleep(self.lag_every_s)
            self._lag.add(max(0.0, time.monotonic() - due_s))

    # -- telling -------------------------------------------------------------------------------------------------

    def render(self, accept: str) -> tuple[bytes, str]:
        """The exposition in the form that an `Accept` header prefers, and its content type."""
        self._forget_removed()
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def _forget_removed(self) -> None:
        """Servers that have left the configuration leave the figures too."""
        names = self._names()
        gone = {server for server in {*self._durations, *self._connects} - _OURS if server not in names}
        for key in [key for key in self._calls if key[0] in gone]:
            del self._calls[key]
        for server in gone:
            self._durations.pop(server, None)
            del self._connects[server]

    def describe(self) -> list[Metric]:
        """Nothing ahead: the library would collect, and registering must not read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Everything, for the library."""
        yield from self._counted()
        yield from _now(self._read())

    def _counted(self) -> Iterator[Metric]:
        outcomes = "ok, tool_error, upstream_error, cancelled or an error code"
        calls = CounterMetricFamily(
            "mcp_gateway_calls", f"Calls that have ended: {outcomes}.", labels=("server", "method", "outcome")
        )
        for labels, count in self._calls.items():
            calls.add_metric(labels, count)
        yield calls
        durations = HistogramMetricFamily(
            "mcp_gateway_call_duration_seconds", "From the door to the answer, in seconds.", labels=("server",)
        )
        for server, histogram in self._durations.items():
            durations.add_metric((server,), histogram.buckets(), histogram.total)
        yield durations
        reconnects = CounterMetricFamily(
            "mcp_gateway_upstream_reconnects", "Connections to a server after the first one.", labels=("server",)
        )
        for server, count in self._connects.items():
            reconnects.add_metric((server,), count - 1)
        yield reconnects
        runs = CounterMetricFamily("mcp_gateway_sandbox_runs", "Calls of execute that have ended.", labels=("outcome",))
        for outcome, count in self._runs.items():
            runs.add_metric((outcome,), count)
        yield runs
        lag = HistogramMetricFamily(
            "mcp_gateway_event_loop_lag_seconds", "How late the event loop was, taken once a second."
        )
        lag.add_metric((), self._lag.buckets(), self._lag.total)
        yield lag


class _Histogram:
    """Counts by upper bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.total = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        self.total += value
        self._counts[bisect_left(self._bounds, value)] += 1

    def buckets(self) -> list[tuple[str, float]]:
        """Cumulative counts, as the exposition format wants them."""
        bounds = (*map(floatToGoString, self._bounds), "+Inf")
        return list(zip(bounds, accumulate(self._counts), strict=True))


def _now(now: Reading) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "mcp_gateway_upstream_state", "1 for the state that a server is in.", labels=("server", "state")
    )
    for server, current in now.states.items():
        for state in now.all_states:
            states.add_metric((server, state), float(state == current))
    yield states
    sessions = GaugeMetricFamily("mcp_gateway_sessions", "Open legacy sessions by door.", labels=("door",))
    for door, count in now.sessions.items():
        sessions.add_metric((door,), count)
    yield sessions
    yield _gauge("mcp_gateway_in_flight", "Calls on their way.", now.in_flight)
    yield _counter("mcp_gateway_cache_hits", "Answers found in the cache.", now.cache_hits)
    yield _counter("mcp_gateway_cache_misses", "Answers looked for in vain.", now.cache_misses)
    yield _gauge("mcp_gateway_cache_entries", "Answers in the cache.", now.cache_entries)
    yield _gauge("mcp_gateway_cache_bytes", "Their size.", now.cache_bytes)
    yield _counter("mcp_gateway_calls_unrecorded", "Calls that are not in the record on disk.", now.unrecorded)
    yield _gauge("process_resident_memory_bytes", "Memory of the gateway.", now.memory_bytes)


def _gauge(name: str, said: str, value: float) -> Metric:
    return GaugeMetricFamily(name, said, value=value)


def _counter(name: str, said: str, value: float) -> Metric:
    return CounterMetricFamily(name, said, value=value)


def _among(known: Container[str], value: str) -> str:
    return value if value in known else OTHER
