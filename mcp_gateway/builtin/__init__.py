"""The tools shipped with the gateway. To add one: a file with one typed function, a line in ALL, its tests."""

from __future__ import annotations

from typing import Final

from mcp_gateway.builtin.functions import Builtin, Context, MCPFunctions
from mcp_gateway.builtin.sysinfo import sysinfo

ALL: Final[tuple[Builtin, ...]] = (sysinfo,)
"""Each has a section of its own name under `tools` in the configuration."""

__all__ = ["ALL", "Builtin", "Context", "MCPFunctions"]
