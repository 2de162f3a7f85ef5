"""What is asked of every target: which tool, how large an answer, by how many clients of which revision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

SMALL, MIDDLE, LARGE = 100, 100_000, 1_000_000
"""Bytes of text in a result."""

CONNECTIONS = (1, 8, 64)


class Way(StrEnum):
    """Where the answer comes from."""

    HTTP = "HTTP"
    STDIO = "stdio"
    CACHE = "cache hit"
    LIST = "tools/list of 1000"


class Era(StrEnum):
    LEGACY = "2025-11-25"
    MODERN = "2026-07-28"


@dataclass(frozen=True, slots=True)
class Scenario:
    way: Way = Way.HTTP
    connections: int = 8
    size: int = SMALL
    era: Era = Era.LEGACY

    @property
    def name(self) -> str:
        size = {SMALL: "100 B", MIDDLE: "100 KB", LARGE: "1 MB"}[self.size]
        asked = self.way if self.way is Way.LIST else f"{self.way}, {size}"
        return f"{asked}, {self.era}, c={self.connections}"


def everything() -> tuple[Scenario, ...]:
    """All of them; a cache answers small calls, and a list has the size it has."""
    return tuple(_all())


def _all() -> Iterator[Scenario]:
    for way in (Way.HTTP, Way.STDIO):
        for era in Era:
            for size in (SMALL, MIDDLE, LARGE):
                yield from (Scenario(way, connections, size, era) for connections in CONNECTIONS)
    for way in (Way.CACHE, Way.LIST):
        for era in Era:
            yield from (Scenario(way, connections, SMALL, era) for connections in CONNECTIONS)


USUAL = (
    *(Scenario(connections=connections) for connections in CONNECTIONS),
    *(Scenario(connections=connections, era=Era.MODERN) for connections in (8, 64)),
    Scenario(size=MIDDLE),
    Scenario(size=LARGE, connections=1),
    *(Scenario(Way.STDIO, connections) for connections in CONNECTIONS),
    *(Scenario(Way.CACHE, connections) for connections in CONNECTIONS),
    *(Scenario(Way.LIST, connections) for connections in (1, 8)),
)

QUICK = (Scenario(), Scenario(era=Era.MODERN), Scenario(Way.STDIO), Scenario(Way.CACHE), Scenario(Way.LIST))
