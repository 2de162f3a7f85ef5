"""The tools shipped with the gateway. To add one: a file with one typed function, a line in `enabled`, its tests."""

from __future__ import annotations

from collections.abc import Callable

from mcp_gateway.builtin.analyze_code import analyze_code_tool
from mcp_gateway.builtin.choice import SandboxChoice
from mcp_gateway.builtin.execute import execute_tool
from mcp_gateway.builtin.functions import Builtin, Context, MCPFunctions
from mcp_gateway.builtin.search import search_tool
from mcp_gateway.builtin.services import Services
from mcp_gateway.builtin.sysinfo import sysinfo
from mcp_gateway.config.parts import Tools

__all__ = ["Builtin", "Context", "MCPFunctions", "SandboxChoice", "Services", "enabled"]


def enabled(tools: Tools, services: Services) -> list[Builtin]:
    """The tools that the configuration switches on; `auto` is on, and for `execute` means where a sandbox works."""
    execute_is_on = services.sandbox.works if tools.execute.enabled == "auto" else tools.execute.enabled
    offers: tuple[tuple[bool | str, Callable[[], Builtin]], ...] = (
        (tools.search.enabled, lambda: search_tool(tools.search, services)),
        (execute_is_on, lambda: execute_tool(tools.execute, services)),
        (tools.analyze_code.enabled, lambda: analyze_code_tool(tools.analyze_code)),
        (tools.sysinfo.enabled, lambda: sysinfo),
    )
    return [make() for is_on, make in offers if is_on]
