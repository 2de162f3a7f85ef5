"""The cases of a module, tried together once, and again where the machine may be to blame.

The machines that run the tests are shared: now and then something takes a second
for no reason of ours. So times may be twice what is promised, and a case that misses
is tried again, alone: what the gateway does wrong it does each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.cases import Case
from tests.faults.limits import PROMISED, Limits
from tests.gateway import Gateway

LIMITS = PROMISED.stretched(2)
AGAIN = 2


class Trial:
    """Runs when it is made; its gateway has been stopped by then."""

    def __init__(self, cases: Iterable[Case], new_folder: Callable[[], Path]) -> None:
        self._new_folder = new_folder
        self._cases = tuple(cases)
        with Bench(new_folder(), self._cases) as bench:
            self._outcomes = {outcome.case: outcome for outcome in bench.run()}
        self._whole = bench.whole

    def misses(self, case: Case) -> list[str]:
        """What one fault did that must not be."""
        misses = self._outcomes[case].misses(LIMITS)
        for _ in range(AGAIN):
            if not misses:
                break
            misses = self._alone(case)
        return misses

    def misses_of_the_whole(self) -> list[str]:
        """What all faults together did to the start and the stop; a start is compared with one without any upstream."""
        misses = self._whole.misses(LIMITS)
        if misses:
            misses = self._whole.misses(self._limits_here())
        for _ in range(AGAIN):
            if not misses:
                break
            misses = self._once_more()
        return misses

    def _once_more(self) -> list[str]:
        limits = self._limits_here()
        with Bench(self._new_folder(), self._cases) as bench:
            pass
        return bench.whole.misses(limits)

    def _limits_here(self) -> Limits:
        """With the start that this machine takes just now."""
        return replace(LIMITS, up_s=max(LIMITS.up_s, 2 * self._bare_start_s()))

    def _alone(self, case: Case) -> list[str]:
        with Bench(self._new_folder(), [case]) as bench:
            (outcome,) = bench.run()
        return outcome.misses(LIMITS)

    def _bare_start_s(self) -> float:
        began_s = time.monotonic()
        with Gateway(self._new_folder(), {"mcpServers": {}}):
            return time.monotonic() - began_s
