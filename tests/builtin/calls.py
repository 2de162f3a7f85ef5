"""Calling one built-in tool the way the gateway does, and reading what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anyio
from mcp_gateway.builtin import Builtin, MCPFunctions
from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.wire import Raw, RawParams, loads


@dataclass(slots=True)
class Listener:
    """A caller that follows progress."""

    owner: str = "test"
    token: str | int | None = 1
    heard: list[RawParams] = field(default_factory=list)
    spoken_to: anyio.Event = field(default_factory=anyio.Event)

    def notify(self, method: str, params: RawParams) -> None:
        assert method == "notifications/progress"
        self.heard.append(params)
        self.spoken_to.set()

    async def request(self, method: str, params: RawParams) -> Raw:
        raise AssertionError("built-in tools ask nothing")


async def call(
    tool: Builtin, arguments: dict[str, Any], *, deadline_s: float | None = None, sink: Sink = QUIET
) -> dict[str, Any]:
    """The `CallToolResult`. Raises GatewayError."""
    route = Route(Kind.TOOL, None, tool.name, tool.name)
    request = Call(
        "tools/call", {"arguments": arguments}, Client("test"), sink=sink, deadline_s=deadline_s, route=route
    )
    result: dict[str, Any] = loads(await MCPFunctions([tool]).call(request))
    return result


async def use(tool: Builtin, **arguments: Any) -> dict[str, Any]:
    """The structured content."""
    found: dict[str, Any] = (await call(tool, arguments))["structuredContent"]
    return found
