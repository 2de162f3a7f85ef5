"""The tools shipped with the gateway. To add one: a file with one typed function, a line in ALL, its tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mcp_gateway.builtin.analyze_code import analyze_code_tool
from mcp_gateway.builtin.ask import ask_tool
from mcp_gateway.builtin.execute import execute_tool
from mcp_gateway.builtin.functions import Builtin, Context, MCPFunctions
from mcp_gateway.builtin.search import search_tool
from mcp_gateway.builtin.services import Services
from mcp_gateway.builtin.sysinfo import sysinfo
from mcp_gateway.config.parts import Tools

__all__ = ["ALL", "Builtin", "Context", "MCPFunctions", "Services", "enabled"]

ALL: Final[Mapping[str, Callable[[Tools, Services], Builtin]]] = {
    "ask": lambda tools, services: ask_tool(tools.ask, services),
    "search": lambda tools, services: search_tool(tools.search, services),
    "execute": lambda tools, services: execute_tool(tools.execute, services),
    "analyze_code": lambda tools, services: analyze_code_tool(tools.analyze_code),
    "sysinfo": lambda tools, services: sysinfo,
}
"""Name -> how the tool is made. Each has a section of its name under `tools` in the configuration."""


def enabled(tools: Tools, services: Services) -> list[Builtin]:
    """The tools that are switched on. `auto` is on; for `execute` it means where a sandbox works."""
    return [make(tools, services) for name, make in ALL.items() if _is_on(name, tools, services)]


def _is_on(name: str, tools: Tools, services: Services) -> bool:
    switch = getattr(tools, name).enabled
    if name == "execute" and switch == "auto":
        return services.sandbox.works
    return bool(switch)
