"""Event streams as a test reads them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    id: int
    kind: str
    data: Any


def events(text: str) -> list[Event]:
    """All events (HTML, 9.2.6); comments are left out."""
    return [_event(block) for block in text.split("\n\n") if block and not block.startswith(":")]


def _event(block: str) -> Event:
    members: dict[str, list[str]] = {}
    for line in block.split("\n"):
        name, _, value = line.partition(": ")
        members.setdefault(name, []).append(value)
    assert members.keys() == {"id", "event", "data"}, block
    return Event(int(members["id"][0]), members["event"][0], json.loads("\n".join(members["data"])))
