"""Where an exposed name leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What a name names."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"
    TEMPLATE = "template"


LIST_FIELD: Final[Mapping[Kind, str]] = {
    Kind.TOOL: "tools",
    Kind.PROMPT: "prompts",
    Kind.RESOURCE: "resources",
    Kind.TEMPLATE: "resourceTemplates",
}
"""The field of a list result that holds the definitions."""

IDENTITY: Final[Mapping[Kind, str]] = {
    Kind.TOOL: "name",
    Kind.PROMPT: "name",
    Kind.RESOURCE: "uri",
    Kind.TEMPLATE: "uriTemplate",
}
"""The field of a definition that other messages refer to."""


@dataclass(frozen=True, slots=True)
class Route:
    """The upstream and original name behind an exposed name.

    `server` is None for a built-in. `exposed` and `name` are tool or prompt names, or URIs.
    `header_params` maps the path of a tool's argument, ("region",) or ("target", "region"), to its
    `Mcp-Param-*` header (SEP-2243).
    """

    kind: Kind
    server: str | None
    exposed: str
    name: str
    header_params: Mapping[tuple[str, ...], str] = field(default_factory=dict, hash=False)
