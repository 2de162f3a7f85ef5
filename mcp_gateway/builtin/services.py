"""What built-in tools need of the rest of the gateway, as callables: the composition root fills it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from mcp_gateway.call import Call
from mcp_gateway.catalog import Allowed, Catalog
from mcp_gateway.sandbox.choice import SandboxChoice


async def _empty() -> Catalog:
    return Catalog.build(())


@dataclass(frozen=True, slots=True)
class Services:
    """`catalog` gives the merged view, once it is worth showing; `allowed` says what of it a call's principal may see.

    `environ` is where search keys and proxies are looked up.
    """

    catalog: Callable[[], Awaitable[Catalog]] = _empty
    allowed: Callable[[Call], Allowed] = lambda call: lambda route: True
    sandbox: SandboxChoice = field(default_factory=SandboxChoice)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
