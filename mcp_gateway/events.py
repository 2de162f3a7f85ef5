"""Typed events and their fan-out.

Listeners are plain functions of one event that must not block; one that needs to
wait brings its own bounded queue. Publishing never raises: a failing listener is
logged and the others still hear.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerStateChanged:
    """An upstream went from one state to another; `reason` is for people, redacted."""

    server: str
    state: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class OfferChanged:
    """What one upstream offers was read (again)."""

    server: str


@dataclass(frozen=True, slots=True)
class CatalogChanged:
    """The merged view changed; `kinds` is a subset of {tools, prompts, resources}."""

    kinds: frozenset[str]


@dataclass(frozen=True, slots=True)
class ResourceUpdated:
    """An upstream says that its resource `uri` (the upstream's own) changed."""

    server: str
    uri: str


@dataclass(frozen=True, slots=True)
class LogMessage:
    """A `notifications/message` of an upstream that belongs to no call; `params` are raw.

    `session` is the key of the one legacy session whose own connection it came over, None when it was shared.
    """

    server: str
    params: Mapping[str, Any]
    session: str | None = None


class CallStarted(msgspec.Struct, frozen=True):
    """A call is on its way to whoever serves it. The members are those of the `CallEnded` that follows, by its span."""

    at: float
    trace: str
    span: str
    principal: str
    client: str | None
    door: str
    method: str
    server: str | None
    tool: str | None
    arguments: str | None
    policy: str


OK: Final = "ok"
CANCELLED: Final = "cancelled"
TOOL_ERROR: Final = "tool_error"
UPSTREAM_ERROR: Final = "upstream_error"

OUTCOMES: Final = (OK, CANCELLED, TOOL_ERROR, UPSTREAM_ERROR)
"""How a call can end, besides the codes of `errors.CODES`: well; given up by its caller; with a result
that is an error; with an error of the upstream's own."""


class CallEnded(msgspec.Struct, frozen=True):
    """A call is over, well or not. Holds no result.

    `at` is when it came, in epoch seconds. `server` is None for built-ins and for what led nowhere; `tool` is the
    upstream's own name of a tool or prompt, or a URI. `outcome` is one of OUTCOMES or a stable code of
    `errors.CODES`. `cached` is None for a call that the cache may not answer. `arguments` is a
    digest, or their JSON where the configuration asks for it, `policy` the digest of the configuration in force.
    `refused` calls got no further than their name; the record folds such into one whose `count` tells how many they
    were. `parent` is the caller's span, None where there is none; `sampled` says whether whoever began the trace
    records it. A Struct, since every call makes one: a dataclass takes ten times as long (2026-11-24).
    """

    at: float
    duration_s: float
    trace: str
    span: str
    principal: str
    client: str | None
    door: str
    method: str
    server: str | None
    tool: str | None
    outcome: str
    cached: bool | None
    arguments: str | None
    policy: str
    refused: bool = False
    count: int = 1
    parent: str | None = None
    sampled: bool = True


Event = ServerStateChanged | OfferChanged | CatalogChanged | ResourceUpdated | LogMessage | CallStarted | CallEnded
Listener = Callable[[Event], None]


@dataclass(slots=True)
class Events:
    """The exchange's bell wire: whoever subscribed hears every event, in order."""

    _listeners: list[Listener] = field(default_factory=list)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Add a listener; the returned function removes it again."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            try:
                listener(event)
            except Exception:  # boundary: a listener's fault must not reach whoever rings the bell
                logger.exception("events.listener_failed event=%s", type(event).__name__)
