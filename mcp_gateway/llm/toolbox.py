"""Which tools an `ask` may use: an allow-list, fixed before the model says its first word. Pure.

Catalog entries and the caller's wishes enter; functions for the model and a table of what they stand for leave. No
text of a tool or a model can add to it later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Final

from mcp_gateway.catalog import CatalogEntry
from mcp_gateway.catalog.text import clean
from mcp_gateway.llm.bounds import Confirm
from mcp_gateway.llm.messages import function
from mcp_gateway.llm.trace import marks_ask

SMALL: Final = 20
"""So few tools are all shown to the model (ask facts, 4.2)."""

DESCRIPTION_CHARS: Final = 1024
"""OpenAI's own limit of a function's description."""

EXECUTE: Final = "execute"
_META_TOOLS: Final = frozenset({"search_tools", "describe_tools", "call_tool", "read_tool"})
"""Built-ins that reach other tools: they would lead around the allow-list."""


class Effect(StrEnum):
    """What a tool says that it does to the world. One that says nothing may do anything."""

    READ = "read"
    WRITE = "write"
    DESTRUCTIVE = "destructive"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as the model and the loop know it; `server` is None for a built-in."""

    name: str
    server: str | None
    own_name: str
    effect: Effect
    description: str
    schema: Mapping[str, Any]

    @property
    def function(self) -> Mapping[str, Any]:
        return function(self.name, self.description, self.schema)


@dataclass(frozen=True, slots=True)
class Choice:
    """The caller's wishes: globs of tools and servers, empty for all. A tool named in full is meant."""

    tools: Sequence[str] = ()
    servers: Sequence[str] = ()
    read_only: bool = False

    def admits(self, tool: Tool) -> bool:
        return _matches(self.tools, tool.name) and _matches(self.servers, tool.server or "")


@dataclass(frozen=True, slots=True)
class Toolbox:
    """`tools` by exposed name; `left_out` are fitting ones that may change things and were not named."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    left_out: Sequence[str] = ()

    def find(self, name: str) -> Tool | None:
        """By exposed name; models also change its case, or drop the server in front."""
        if name in self.tools:
            return self.tools[name]
        folded = name.casefold()
        meant = [tool for tool in self.tools.values() if folded in (tool.name.casefold(), tool.own_name.casefold())]
        return meant[0] if len(meant) == 1 else None

    def nearest(self, name: str) -> list[str]:
        return get_close_matches(name[:128], self.tools, n=3, cutoff=0.4)


def toolbox(entries: Iterable[CatalogEntry], choice: Choice, *, may_execute: bool) -> Toolbox:
    """The allow-list for one ask.

    1. a way to another ask, or around the list: never
    2. not what the caller wants: no
    3. a reader: yes  4. `read_only`: no more than that
    5. a writer that says it destroys nothing: yes
    6. anything else, `execute` included: only named in full, and `execute` only for those who may
    """
    tools: dict[str, Tool] = {}
    left_out: list[str] = []
    for tool in usable(entries):
        if not choice.admits(tool) or (choice.read_only and tool.effect is not Effect.READ):
            continue
        is_execute = tool.server is None and tool.name == EXECUTE
        if is_execute and not may_execute:
            continue
        if tool.name in choice.tools or (tool.effect is not Effect.DESTRUCTIVE and not is_execute):
            tools[tool.name] = tool
        else:
            left_out.append(tool.name)
    return Toolbox(tools, left_out)


def usable(entries: Iterable[CatalogEntry]) -> list[Tool]:
    """Every tool but those that ask a model themselves or reach other tools."""
    return [
        _tool(entry)
        for entry in entries
        if not marks_ask(entry.definition) and not (entry.route.server is None and entry.route.exposed in _META_TOOLS)
    ]


def needs_confirmation(effect: Effect, policy: Confirm, *, tainted: bool) -> bool:
    """Whether a person must agree. `tainted`: strangers' words are in the conversation already."""
    if policy is Confirm.NEVER or effect is Effect.READ:
        return False
    return tainted or policy is Confirm.WRITES or effect is Effect.DESTRUCTIVE


def effect(definition: Mapping[str, Any]) -> Effect:
    """By the annotations; their defaults are the specification's: not read-only, destructive."""
    annotations = definition.get("annotations")
    hints = annotations if isinstance(annotations, dict) else {}
    if hints.get("readOnlyHint") is True:
        return Effect.DESTRUCTIVE if hints.get("destructiveHint") is True else Effect.READ
    return Effect.WRITE if hints.get("destructiveHint") is False else Effect.DESTRUCTIVE


def _tool(entry: CatalogEntry) -> Tool:
    definition, route = entry.definition, entry.route
    description = definition.get("description")
    schema = definition.get("inputSchema")
    return Tool(
        name=route.exposed,
        server=route.server,
        own_name=route.name,
        effect=effect(definition),
        description=clean(description)[:DESCRIPTION_CHARS] if isinstance(description, str) else "",
        schema={"type": "object", "properties": {}, **(schema if isinstance(schema, dict) else {})},
    )


def _matches(globs: Sequence[str], name: str) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)
