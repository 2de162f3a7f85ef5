"""What one server offers, as it said it.

Raw list pages enter (through `vetting`), an `Offer` leaves: definitions decoded one
level deep, their fields untouched bytes. Names, prefixes and other servers are
unknown here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.catalog.problem import Problem
from mcp_gateway.catalog.route import Kind
from mcp_gateway.security.pins import Offered, digest
from mcp_gateway.wire import Raw, loads

Entry = dict[str, Raw]
"""One definition: field name -> bytes as received."""


@dataclass(frozen=True, slots=True)
class Part:
    """The vetted definitions of one kind.

    `ttl_ms` is the shortest that the pages state, None when they state none (legacy servers).
    `public` is true when every page says that any user may share it. `digests` are those of tools as
    received, by name: an entry may have lost what was above the caps.
    """

    kind: Kind
    entries: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    ttl_ms: int | None = None
    public: bool = False
    digests: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything one server offers. `server` is its configured name, `revision` the one it speaks."""

    server: str
    revision: str
    parts: tuple[Part, ...] = ()
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    instructions: str | None = None
    server_info: Mapping[str, Any] = field(default_factory=dict)

    def entries(self, kind: Kind) -> tuple[Entry, ...]:
        return tuple(entry for part in self.parts if part.kind is kind for entry in part.entries)

    @property
    def tools(self) -> tuple[Entry, ...]:
        return self.entries(Kind.TOOL)

    @property
    def sealed_tools(self) -> tuple[Offered, ...]:
        """The tools with the digests by which they are pinned."""
        digests = {name: seal for part in self.parts for name, seal in part.digests.items()}
        named = ((loads(entry["name"]), entry) for entry in self.tools)
        return tuple(Offered(name, digests.get(name) or digest(entry), entry) for name, entry in named)

    @property
    def prompts(self) -> tuple[Entry, ...]:
        return self.entries(Kind.PROMPT)

    @property
    def resources(self) -> tuple[Entry, ...]:
        return self.entries(Kind.RESOURCE)

    @property
    def templates(self) -> tuple[Entry, ...]:
        return self.entries(Kind.TEMPLATE)

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for part in self.parts for problem in part.problems)


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long a merged listing may be kept, and by whom (2026-07-28, server/utilities/caching; SEP-2549)."""

    ttl_ms: int
    public: bool


def freshness(parts: Iterable[Part], default: Freshness) -> Freshness:
    """The shortest time and the narrowest scope of all sources; sources that state no time count as the default."""
    sources = tuple(parts)
    ttl_ms = min((default.ttl_ms if part.ttl_ms is None else part.ttl_ms for part in sources), default=default.ttl_ms)
    return Freshness(ttl_ms, default.public and all(part.public for part in sources))
