"""The user's wishes about names and schemas, as plain frozen values.

The composition root fills them from the configuration; this room never sees a `Config`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

from mcp_gateway.catalog.offer import Freshness
from mcp_gateway.catalog.route import Kind

MIN_MAX_NAME: Final = 16
"""Shorter names would be little more than the hash. Our choice."""

DEFAULT_FRESHNESS: Final = Freshness(ttl_ms=10_000, public=False)
"""Our choice: short, since a catalog still grows while servers connect."""

_GLOB: Final = re.compile(r"[*?\[]")

StickyNames = Mapping[tuple[Kind, str, str], str]
"""(kind, server, name after renaming) -> the exposed name it was given once."""


class Prefix(StrEnum):
    """When an exposed name starts with its server's."""

    ALWAYS = "always"
    COLLISION = "collision"
    NEVER = "never"


class Order(StrEnum):
    """How listings are sorted: as the servers stand in the file, or by exposed name."""

    STABLE = "stable"
    NAME = "name"


class SchemaCompat(StrEnum):
    """Whether schemas that hosts refuse are rewritten."""

    SAFE = "safe"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ServerRules:
    """One server's entry. Globs and keys are the upstream's own names.

    `withheld` are tools that are not trusted as they are offered now, and why. `named_elsewhere` are the names in
    settings that other rooms act on, by setting; they are only looked at for tools that nobody has.
    """

    prefix: str | None = None
    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    rename: Mapping[str, str] = field(default_factory=dict)
    describe: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    named_elsewhere: Mapping[str, Collection[str]] = field(default_factory=dict)

    def admits(self, tool: str) -> bool:
        """Whether a tool passes `include` and `exclude`; an empty `include` admits all."""
        included = not self.include or any(fnmatchcase(tool, glob) for glob in self.include)
        return included and not any(fnmatchcase(tool, glob) for glob in self.exclude)

    def unmatched(self, tools: Collection[str]) -> Iterator[tuple[str, str]]:
        """(setting, name) for each tool named in full that is not among `tools`; a glob may match nothing."""
        settings: dict[str, Collection[str]] = {
            "tools.include": self.include,
            "tools.exclude": self.exclude,
            "tools.rename": self.rename,
            "tools.describe": self.describe,
            **self.named_elsewhere,
        }
        for setting, names in settings.items():
            yield from ((setting, name) for name in names if name not in tools and not _GLOB.search(name))


@dataclass(frozen=True, slots=True)
class ExposeRules:
    """The `expose` section.

    `sticky` are the names exposed earlier in collision mode; they are held for their
    owners, and those of this build come back as `Catalog.sticky`. Whoever keeps them
    drops the ones of servers that left the configuration. `freshness` is what modern
    listings say when no upstream is stricter. `clean_texts` strips what nobody can see; it is
    reported either way.

    Raises:
        ValueError: `max_name` is below MIN_MAX_NAME.
    """

    prefix: Prefix = Prefix.ALWAYS
    max_name: int = 48
    schema_compat: SchemaCompat = SchemaCompat.SAFE
    order: Order = Order.STABLE
    sticky: StickyNames = field(default_factory=dict)
    freshness: Freshness = DEFAULT_FRESHNESS
    clean_texts: bool = True

    def __post_init__(self) -> None:
        if self.max_name < MIN_MAX_NAME:
            raise ValueError(f"max_name is {self.max_name}; it must be at least {MIN_MAX_NAME}")

    @property
    def rewrites_schemas(self) -> bool:
        """`prefix: never` is a pass-through, schemas included (design, decision 5)."""
        return self.schema_compat is SchemaCompat.SAFE and self.prefix is not Prefix.NEVER
