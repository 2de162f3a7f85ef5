"""Exposed names: what tools and prompts of many servers are called at one door.

A server, its tool's name and the user's rules enter; a name no other has leaves.
Routes come from the table that the catalog keeps, never from taking a name apart.

Exposed names match `[A-Za-z0-9_-]{1,48}` (hosts and model providers take no dot and at
most 64 characters, and a host adds a prefix of its own). Names are compared folded
(NFKC and casefold), so a look-alike counts as the same name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import count
from typing import Final

from mcp_gateway.catalog.route import Kind
from mcp_gateway.catalog.rules import ExposeRules, Prefix, ServerRules

RESERVED: Final = frozenset(
    {
        "analyze_code",
        "ask",
        "call_tool",
        "describe_tools",
        "execute",
        "read_tool",
        "search",
        "search_tools",
        "sysinfo",
    }
)
"""Tool names that only built-ins have, whether they are switched on or not."""

SEPARATOR: Final = "__"
SLUG_MAX_CHARS: Final = 20
"""Leaves 26 of 48 characters to the tool. Our choice."""

_HASH_CHARS: Final = 8
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")
_RUNS: Final = re.compile(r"[^A-Za-z0-9-]+")


def fold(name: str) -> str:
    """What two names share that a reader would take for the same."""
    return unicodedata.normalize("NFKC", name).casefold()


def digest(*parts: str) -> str:
    """Eight hex digits, the same on every machine and in every run."""
    return sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]


def fit(name: str, max_chars: int, mark: str) -> str:
    """The name if it is short enough, else its beginning and the mark."""
    return name if len(name) <= max_chars else marked(name, max_chars, mark)


def marked(name: str, max_chars: int, mark: str) -> str:
    """The name with a mark at its end, cut so that both fit."""
    beginning = name[: max_chars - len(mark) - 1].rstrip("_")
    return f"{beginning}_{mark}"


def slug(server: str) -> str:
    """A server's name as a prefix: no double underscore, none at the edges, never empty."""
    plain = _RUNS.sub("_", unicodedata.normalize("NFKC", server)).strip("_")
    if not plain.strip("-"):
        return f"server_{digest(server)}"
    return fit(plain, SLUG_MAX_CHARS, digest(server))


def slugs(servers: Sequence[str], rules: Mapping[str, ServerRules]) -> dict[str, str]:
    """Server -> prefix, no two alike. The first one in the file keeps the plain form."""
    taken: set[str] = set()
    chosen: dict[str, str] = {}
    for server in servers:
        prefix = rules[server].prefix if server in rules else None
        candidates = _candidates(slug(prefix or server), SLUG_MAX_CHARS, server)
        chosen[server] = next(candidate for candidate in candidates if fold(candidate) not in taken)
        taken.add(fold(chosen[server]))
    return chosen


def _candidates(plain: str, max_chars: int, *identity: str) -> Iterator[str]:
    """The plain form, then forms marked with a hash of what it stands for; there is always one more."""
    yield plain
    yield marked(plain, max_chars, digest(*identity))
    for attempt in count(2):  # pragma: no branch: counting never ends
        yield marked(plain, max_chars, digest(*identity, str(attempt)))


class Namer:
    """Gives out names while one catalog is built, the first asker first."""

    def __init__(self, expose: ExposeRules, prefixes: Mapping[str, str]) -> None:
        self._expose = expose
        self._prefixes = prefixes
        self._folded_prefixes = {fold(prefix): server for server, prefix in prefixes.items()}
        self._taken = {(Kind.TOOL, fold(name)) for name in RESERVED}
        self._held = {(kind, fold(name)): (kind, server, wanted) for (kind, server, wanted), name in self._sticky()}
        self.given: dict[tuple[Kind, str, str], str] = {}

    def _sticky(self) -> Iterator[tuple[tuple[Kind, str, str], str]]:
        """Names kept from earlier; what no build of ours could have given out is forgotten."""
        if self._expose.prefix is not Prefix.COLLISION:
            return
        for key, name in self._expose.sticky.items():
            free = (key[0], fold(name)) not in self._taken
            if free and len(name) <= self._expose.max_name and name and not _UNSAFE.search(name):
                yield key, name

    def builtin(self, name: str) -> None:
        self._taken.add((Kind.TOOL, fold(name)))

    def name(self, kind: Kind, server: str, original: str, wanted: str) -> tuple[str | None, bool]:
        """The exposed name of one definition, and whether it had to give way to another.

        `wanted` is the original name, or what the user renamed it to. With
        `prefix: never` a definition that has to give way gets no name.
        """
        for attempt, name in enumerate(self._choices(kind, server, original, wanted)):
            if self._is_free(kind, server, wanted, name):
                self._taken.add((kind, fold(name)))
                # A second asker for the same wish, by a rename, must not move the first one's name in the next build.
                self.given.setdefault((kind, server, wanted), name)
                return name, attempt > 0
        return None, True

    def _is_free(self, kind: Kind, server: str, wanted: str, name: str) -> bool:
        key = (kind, fold(name))
        return key not in self._taken and self._held.get(key, (kind, server, wanted)) == (kind, server, wanted)

    def _choices(self, kind: Kind, server: str, original: str, wanted: str) -> Iterator[str]:
        """Names to try, best first."""
        if self._expose.prefix is Prefix.NEVER:
            yield wanted
            return
        limit, mark = self._expose.max_name, digest(server, original)
        safe = _safe(wanted, mark)
        if self._expose.prefix is Prefix.COLLISION:
            kept = self._expose.sticky.get((kind, server, wanted))
            yield from () if kept is None or (kind, fold(kept)) not in self._held else (kept,)
            yield from () if self._imitates(server, safe) else (fit(safe, limit, mark),)
        prefixed = f"{self._prefixes[server]}{SEPARATOR}{safe}"
        yield from _candidates(fit(prefixed, limit, mark), limit, server, original)

    def _imitates(self, server: str, name: str) -> bool:
        """Whether a bare name reads as if it were another server's."""
        prefix, separator, _ = name.partition(SEPARATOR)
        return bool(separator) and self._folded_prefixes.get(fold(prefix), server) != server


def _safe(name: str, mark: str) -> str:
    """The name in the charset of exposed names; a name without a letter or digit of it becomes its hash."""
    plain = _UNSAFE.sub("_", unicodedata.normalize("NFKC", name))
    return plain if plain.strip("_-") else mark
