"""Providers of an operator's own, as the configuration names them."""

from __future__ import annotations

from mcp_gateway.builtin.providers import Hit, Page, Query, Source, Web


async def library(source: Source, query: Query, web: Web) -> Page:
    return Page((Hit(f"About {query.text}", "https://library.example/1"),))


async def broken(source: Source, query: Query, web: Web) -> Page:
    raise KeyError("secret")
