"""A gateway between a caller and the far ends: break, call, look, heal, stop.

Cases enter, an `Outcome` for each and one `Whole` for the gateway leave. All upstreams are there
at once; faults are tried one after the other, and heal while the next ones are tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from tests.faults.caller import Answer, Caller, Watch, new_ticket, seen
from tests.faults.cases import CALL_TIMEOUT_S, STARTUP_TIMEOUT_S, Case
from tests.faults.far import GOOD, Far
from tests.faults.limits import LEFT_S, PROMISED, Limits
from tests.faults.memory import PeakMemory
from tests.faults.speech import LAST_WORDS, TOOL
from tests.gateway import Gateway

POLL_S = 0.05
HEAL_LIMIT_S = 2 * PROMISED.heal_s
SIBLING_LIMIT_S = 30.0
HEALERS = 12
IN_FLIGHT_S = 0.3
FEW = 2
"""The sibling, and the upstream of a case that has the gateway to itself."""


class Proxy(Protocol):
    """A gateway that is being tried; entered it serves, left it is stopped."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def url(self) -> str: ...

    @property
    def pid(self) -> int: ...


def exposed(server: str) -> str:
    """What our gateway calls the tool of a server."""
    return f"{server}__{TOOL}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fault did; times in seconds. `heal_s` is infinite when it did not heal.

    The sibling, the listing and the memory were looked at from before the call until a moment after it; for a fault
    that was there from the start, from the end of the case before, or the start.
    """

    case: Case
    answer: Answer
    sibling_s: float
    sibling_faults: Sequence[str]
    listing_s: float
    listing_faults: Sequence[str]
    memory_mib: float
    heal_s: float
    reached: int
    """How often the upstream got the call that it got most often."""

    def misses(self, limits: Limits = PROMISED) -> list[str]:
        """The criteria that do not hold."""
        case, answer, ends_s = self.case, self.answer, self.case.ends.within_s(limits)
        is_right = answer.code == case.code if limits.codes else (answer.code is None) == (case.code is None)
        checks = {
            f"sibling failed: {list(self.sibling_faults)[:3]}": not self.sibling_faults,
            f"sibling took {self.sibling_s:.2f} s": self.sibling_s <= limits.sibling_s,
            f"listing failed: {list(self.listing_faults)[:3]}": not self.listing_faults,
            f"listing took {self.listing_s:.2f} s": self.listing_s <= limits.listing_s,
            f"answer {answer.code} ({answer.message!r}), not {case.code}": is_right,
            f"answer after {answer.took_s:.2f} s, not {ends_s:g} s": answer.took_s <= ends_s,
            f"told the caller: {answer.message!r}": LAST_WORDS not in answer.message,
            f"healed after {self.heal_s:.1f} s": self.heal_s <= limits.heal_s,
            f"memory +{self.memory_mib:.0f} MiB": self.memory_mib <= limits.memory_mib,
            f"a call reached the upstream {self.reached} times": self.reached <= 1,
        }
        return [text for text, holds in checks.items() if not holds]


@dataclass(frozen=True, slots=True)
class Whole:
    """What all faults together did to the gateway's start and end."""

    up_s: float
    sibling_up_s: float
    first_listing_s: float
    stop_s: float
    left: Sequence[str]

    def misses(self, limits: Limits = PROMISED) -> list[str]:
        checks = {
            f"up after {self.up_s:.1f} s": self.up_s <= limits.up_s,
            f"sibling up after {self.sibling_up_s:.1f} s": self.sibling_up_s <= limits.sibling_up_s,
            f"first listing after {self.first_listing_s:.1f} s": self.first_listing_s <= limits.first_listing_s,
            f"stopped after {self.stop_s:.1f} s": self.stop_s <= limits.stop_s,
            f"left running: {list(self.left)}": not self.left,
        }
        return [text for text, holds in checks.items() if not holds]


HASTE = {"max": 1000, "backoff": "0.1..0.5"}
"""`restart` of servers that are all broken at once for as long as a run takes."""


def our_gateway(folder: Path, servers: Mapping[str, Mapping[str, Any]], *, fast_lane: bool = True) -> Proxy:
    """Its settings are the defaults, but for the deadlines, on which no promise depends, and haste where many wait."""
    short: dict[str, Any] = {"timeout": CALL_TIMEOUT_S, "startup_timeout": STARTUP_TIMEOUT_S}
    if len(servers) > FEW:
        short["restart"] = HASTE
    entries = {name: {**short, **entry} for name, entry in servers.items()}
    return Gateway(folder, {"mcpServers": entries, "expose": {"mode": "all"}, "server": {"fast_lane": fast_lane}})


class Bench:
    """One gateway, entered while it runs. Leaving stops it; `whole` is known from then on."""

    def __init__(
        self,
        folder: Path,
        cases: Iterable[Case],
        proxy: Callable[[Path, Mapping[str, Mapping[str, Any]]], Proxy] = our_gateway,
        name: Callable[[str], str] = exposed,
    ) -> None:
        self._folder = folder
        self._cases = tuple(cases)
        self._make_proxy = proxy
        self._name = name
        self._stack = ExitStack()
        self.whole: Whole

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._far = stack.enter_context(Far(self._folder / "far", self._cases))
            self._proxy = self._make_proxy(self._folder / "gateway", self._far.servers())
            started_s = time.monotonic()
            self._proxy.__enter__()
            self._up_s = time.monotonic() - started_s
            self._memory = PeakMemory(self._proxy.pid)
            self._watch = Watch(self._proxy.url, self._name)
            stack.push(self._stop)
            self._healers = stack.enter_context(ThreadPoolExecutor(HEALERS))
            self._caller = stack.enter_context(self._new_caller())
            self._since_s = time.monotonic()
            self._sibling_up_s = self._until_right(self._caller, GOOD, SIBLING_LIMIT_S)
            stack.enter_context(self._watch)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def run(self) -> list[Outcome]:
        """Try every case, in the order they came in."""
        tried = [self._try(case) for case in self._cases]
        return [outcome() for outcome in tried]

    def _try(self, case: Case) -> Callable[[], Outcome]:
        """Break and call; the outcome is complete once it has healed."""
        if not case.from_start:
            self._until_right(self._caller, case.name, HEAL_LIMIT_S)
            self._since_s = time.monotonic()
            self._far.break_it(case)
            self._memory.reset()
        answer = self._caller.call(case.name, new_ticket())
        self._watch.look_on()
        grown_mib = self._memory.grown_mib()
        sibling_s, failed = seen(self._watch.calls, self._since_s)
        listing_s, missing = seen(self._watch.listings, self._since_s)
        self._since_s = time.monotonic()
        self._far.heal(case)
        healed: Future[float] = self._healers.submit(self._heal, case)

        def outcome() -> Outcome:
            heal_s = healed.result()
            reached = max(self._far.calls(case).values(), default=0)
            return Outcome(case, answer, sibling_s, failed, listing_s, missing, grown_mib, heal_s, reached)

        return outcome

    def _heal(self, case: Case) -> float:
        with self._new_caller() as caller:
            return self._until_right(caller, case.name, HEAL_LIMIT_S)

    def _until_right(self, caller: Caller, server: str, limit_s: float) -> float:
        """Seconds until a call got the right answer; infinite after `limit_s`."""
        began_s = time.monotonic()
        while (now_s := time.monotonic()) - began_s < limit_s:
            if caller.call(server, new_ticket()).code is None:
                return time.monotonic() - began_s
            time.sleep(max(0.0, POLL_S - (time.monotonic() - now_s)))
        return float("inf")

    def _new_caller(self) -> Caller:
        return Caller(self._proxy.url, self._name)

    def _stop(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the gateway while every fault is in force and a call is in flight to each upstream."""
        with ThreadPoolExecutor(max(1, len(self._cases))) as callers:
            for case in self._cases if error is None else ():
                self._far.break_it(case)
                callers.submit(self._last_call, case)
            time.sleep(IN_FLIGHT_S)
            began_s = time.monotonic()
            self._proxy.__exit__(kind, error, trace)
            stop_s = time.monotonic() - began_s
        left = self._far.left(LEFT_S)
        self.whole = Whole(self._up_s, self._sibling_up_s, self._watch.first_listing_s, stop_s, left)

    def _last_call(self, case: Case) -> None:
        try:
            with self._new_caller() as caller:
                caller.call(case.name, new_ticket())
        except (AssertionError, OSError):
            return  # the gateway was stopped before it answered
