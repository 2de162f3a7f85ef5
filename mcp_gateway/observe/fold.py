"""Refused calls, folded: they cost their caller nothing, so that a record of each could push out all others.

A refused call enters; it leaves with the number of calls it stands for, or not at all.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec.structs import replace

from mcp_gateway.events import CallEnded

AT_ONCE: Final = 8.0
"""Calls of one principal and outcome recorded one by one, and from then on one a second (our choice)."""

KINDS: Final = 1024
"""Pairs of principal and outcome that are remembered; those seen longest ago are forgotten first (our choice)."""


class Fold:
    """By principal and outcome: how many may be recorded as of when, and how many were not since the last one."""

    def __init__(self) -> None:
        self._kinds: OrderedDict[tuple[str, str], tuple[float, float, int]] = OrderedDict()

    def add(self, call: CallEnded) -> CallEnded | None:
        """The call to be recorded, with those that were not as its `count`; None when it is too early for one."""
        kind = call.principal, call.outcome
        free, as_of, folded = self._kinds.pop(kind, (AT_ONCE, call.at, 0))
        free = min(AT_ONCE, free + max(0.0, call.at - as_of))
        too_early = free < 1.0
        self._kinds[kind] = (free, call.at, folded + 1) if too_early else (free - 1.0, call.at, 0)
        if len(self._kinds) > KINDS:
            self._kinds.popitem(last=False)
        return None if too_early else replace(call, count=folded + 1)
