"""The gateway at one moment, in plain numbers, for metrics and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reading:
    """What is true just now. `states` are those of the configured servers, out of `all_states`; bytes and counts."""

    states: Mapping[str, str]
    all_states: Sequence[str]
    sessions: Mapping[str, int]
    in_flight: int
    cache_hits: int
    cache_misses: int
    cache_entries: int
    cache_bytes: int
    unrecorded: int
