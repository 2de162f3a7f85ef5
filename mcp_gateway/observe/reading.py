"""The gateway at one moment, in plain numbers, for metrics and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Ending:
    """Something that ends by itself unless a person does something: a login of a server, or an API key.

    `at` is in epoch seconds; `lasts_s` is its whole life, None where that is not known; `what` begins a sentence that
    `fix` ends.
    """

    at: float
    lasts_s: float | None
    what: str
    fix: str
    server: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What is true just now: counts and bytes.

    `states` are those of the configured servers, out of `all_states`; `cache_state` is `ok`, `down` or `closed`.
    `unrecorded` calls are missing from the record on disk; `record_failure` is why, None while it can be written.
    """

    states: Mapping[str, str]
    all_states: Sequence[str]
    sessions: Mapping[str, int]
    in_flight: int
    cache_hits: int
    cache_misses: int
    cache_entries: int
    cache_bytes: int
    cache_state: str
    unrecorded: int
    record_failure: str | None
    memory_bytes: int
    endings: Sequence[Ending] = ()


def resident_bytes() -> int:
    """The memory that this process takes."""
    return int(psutil.Process().memory_info().rss)
