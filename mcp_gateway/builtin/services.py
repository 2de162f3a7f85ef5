"""What built-in tools need of the rest of the gateway, as callables: the composition root fills it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.builtin.catalog_search import CatalogSearch
from mcp_gateway.call import Call, Sink
from mcp_gateway.catalog import Allowed, Catalog
from mcp_gateway.config.parts import Llm
from mcp_gateway.errors import UnknownName
from mcp_gateway.llm.retrieval import RetrievalService
from mcp_gateway.llm.service import LLMService
from mcp_gateway.parking import Parking
from mcp_gateway.sandbox.choice import SandboxChoice
from mcp_gateway.wire import Raw


async def _empty() -> Catalog:
    return Catalog.build(())


async def _nowhere(call: Call, sink: Sink) -> Raw:
    raise UnknownName("tool", str(call.params.get("name")))


@dataclass(frozen=True, slots=True)
class Services:
    """`catalog` gives the merged view, once it is worth showing; `allowed` says what of it a call's principal may see.

    `environ` is where search keys and proxies are looked up. `route` is the gateway's one path. `model` gives the
    language model in force, `llm` its section of the configuration. `index` and `parking` outlive a reload.
    """

    catalog: Callable[[], Awaitable[Catalog]] = _empty
    allowed: Callable[[Call], Allowed] = lambda call: lambda route: True
    sandbox: SandboxChoice = field(default_factory=SandboxChoice)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    route: Callable[[Call, Sink], Awaitable[Raw]] = _nowhere
    model: Callable[[], LLMService] = RetrievalService
    llm: Callable[[], Llm] = Llm
    index: CatalogSearch = field(default_factory=CatalogSearch)
    parking: Parking[Any] = field(default_factory=Parking)
