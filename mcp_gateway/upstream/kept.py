"""An agent with what it takes to end it, and how one is started."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from mcp_gateway.upstream.agent import MCPAgent
from mcp_gateway.upstream.definition import Definition


@dataclass(frozen=True, slots=True)
class Kept:
    """An agent whose task somebody else runs."""

    definition: Definition
    agent: MCPAgent
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def run(self) -> None:
        """Returns when ended."""
        with self.scope:
            await self.agent.run()

    def end(self) -> None:
        """Give the upstream up; its calls in flight end with UpstreamRemoved, its connection a moment later."""
        self.agent.retire()
        self.scope.cancel()


Start = Callable[[Definition, Mapping[str, Any]], Kept]
"""Starts an agent that declares these capabilities."""
