"""Which call is at work: a trace id from the door to the upstream, and the log in between.

A `traceparent` enters (W3C Trace Context, level 1), or nothing; a `Trace` leaves, and
`CURRENT` holds the one of the call that the running task works for. A caller's `traceparent`
goes on as it came (section 3.2, "forwarding"), unless the call is `recorded` as a span of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec

HEADER: Final = "traceparent"
"""The HTTP header, and the member of `_meta` (SEP-414)."""

_VERSION_00 = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_LATER = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[\x20-\x7e]{0,200})?")
_NOTHING = {"0" * 32, "0" * 16}

_random = random.Random()  # noqa: S311 - ids have to differ, not to be secret


class Trace(msgspec.Struct, frozen=True):
    """One call among all that belong together.

    `id` is the trace's, 32 hexadecimal digits; `span` the call's own, 16; `parent` that of whoever made the call,
    None where nobody said. `onward` is the `traceparent` that the upstream is sent; `is_recorded` says that it names
    the call's own span. A Struct, since every call makes one.
    """

    id: str
    span: str
    onward: str
    parent: str | None = None
    is_recorded: bool = False

    @classmethod
    def begin(cls) -> Trace:
        """A trace that starts here; marked as sampled, which is what an upstream takes a call without one for."""
        digits = _digits(48)
        id, span = digits[:32], digits[32:]
        return cls(id, span, f"00-{id}-{span}-01")

    @classmethod
    def of(cls, traceparent: object) -> Trace | None:
        """The caller's own, None where it is not valid (section 3.2.2; versions to come are read as 00)."""
        if not isinstance(traceparent, str):
            return None
        if (match := _VERSION_00.fullmatch(traceparent)) is not None:
            id, parent = match[1], match[2]
        elif (later := _LATER.fullmatch(traceparent)) is not None and later[1] not in ("00", "ff"):
            id, parent = later[2], later[3]
        else:
            return None
        return None if {id, parent} & _NOTHING else cls(id, _digits(16), traceparent, parent)

    @classmethod
    def at_door(cls, *told: object) -> Trace:
        """For a call that comes in: the first valid one of what the caller told, else one of our own."""
        return next(filter(None, map(cls.of, told)), None) or cls.here()

    @classmethod
    def here(cls) -> Trace:
        """For a call that another one makes: the same trace; a new one where no call is at work."""
        current = CURRENT.get()
        return cls.begin() if current is None else cls(current.id, _digits(16), current.onward, current.span)

    @property
    def is_sampled(self) -> bool:
        """Whether whoever began the trace records it (section 3.2.2.5.1)."""
        return int(self.onward[53:55], 16) & 1 == 1

    def recorded(self) -> Trace:
        """With a span of the call's own, which is the parent of what the upstream does (section 3.4)."""
        return Trace(self.id, self.span, f"00-{self.id}-{self.span}-01", self.parent, is_recorded=True)


CURRENT: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
"""The trace of the call that the running task works for."""


@contextmanager
def at_work(trace: Trace | None) -> Iterator[None]:
    """What runs and what is logged in here belongs to the trace."""
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)


def apart() -> AbstractContextManager[None]:
    """For starting what outlives the call that happens to need it first, such as a connection."""
    return at_work(None)


def _digits(count: int) -> str:
    """Hexadecimal digits. All zeros, which are no id (section 3.2.2.3), come up once in 2**64 at most."""
    return f"{_random.getrandbits(count * 4):0{count}x}"
