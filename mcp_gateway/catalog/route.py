"""Where an exposed name leads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a name names."""

    TOOL = "tool"
    PROMPT = "prompt"
    RESOURCE = "resource"
    TEMPLATE = "template"


@dataclass(frozen=True, slots=True)
class Route:
    """The upstream and original name behind an exposed name.

    `server` is None for a built-in. `exposed` and `name` are tool or prompt names, or URIs.
    `header_params` maps a tool's argument name to its `Mcp-Param-*` header (SEP-2243).
    """

    kind: Kind
    server: str | None
    exposed: str
    name: str
    header_params: Mapping[str, str] = field(default_factory=dict)
