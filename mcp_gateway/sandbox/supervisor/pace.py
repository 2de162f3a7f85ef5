"""How often to look at something that can only be polled. Pure: it is told the time."""

from __future__ import annotations

_PAUSE_PER_COST = 10.0
"""Pauses grow with what a look costs, so that looking takes a tenth of one core."""
_HURRIED_PAUSE_PER_COST = 0.25
_HURRIED_PAUSE_S = 0.004
_PART_OF_TIME_LEFT = 0.25
"""A limit that would be reached soon, at the present rate, is looked at more often before it is."""


class Pace:
    """The schedule of one kind of look. `shortest_s`: the pause when looking is cheap and nothing grows."""

    def __init__(self, shortest_s: float, now_s: float) -> None:
        self._shortest_s = shortest_s
        self._share, self._began_s = 0.0, now_s
        self.next_s = now_s

    def looked(self, share: float, began_s: float, ended_s: float) -> None:
        """A look found this share of the limit in use (1 is all of it)."""
        cost_s = ended_s - began_s
        pause_s = max(self._shortest_s, cost_s * _PAUSE_PER_COST)
        rate = (share - self._share) / max(began_s - self._began_s, 1e-6)
        if rate > 0:
            left_s = (1 - share) / rate * _PART_OF_TIME_LEFT
            pause_s = min(pause_s, max(left_s, cost_s * _HURRIED_PAUSE_PER_COST, _HURRIED_PAUSE_S))
        self._share, self._began_s = share, began_s
        self.next_s = ended_s + pause_s
