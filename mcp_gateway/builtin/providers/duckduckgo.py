"""`ddgs`: no key, scraping several engines, therefore unreliable. An extra: it needs native packages."""

from __future__ import annotations

import importlib
import logging
from importlib.util import find_spec
from typing import Any

import anyio
import anyio.to_thread

from mcp_gateway.builtin.providers.base import Hit, Page, ProviderFailed, Query, Source, objects, text
from mcp_gateway.builtin.providers.web import Web

logger = logging.getLogger(__name__)


def installed() -> bool:
    return find_spec("ddgs") is not None


async def ddgs(source: Source, query: Query, web: Web) -> Page:
    """The package does its own HTTP, in a thread that is left behind when the deadline passes."""
    if not installed():
        raise ProviderFailed("the package ddgs is missing; pip install 'mcp-gateway-server[ddgs]'")
    try:
        with anyio.fail_after(source.timeout_s):
            found = await anyio.to_thread.run_sync(_search, query, source.timeout_s, abandon_on_cancel=True)
    except TimeoutError:
        raise ProviderFailed(f"no answer within {source.timeout_s:g} s") from None
    except Exception as error:  # boundary: the package raises whatever its engines do
        logger.info("search.ddgs_failed", exc_info=True)
        raise ProviderFailed(f"{type(error).__name__}: its engines refuse or limit automatic queries") from None
    hits = [Hit(text(item.get("title")), text(item.get("href")), text(item.get("body"))) for item in objects(found)]
    return Page(tuple(hits))


def _search(query: Query, timeout_s: float) -> Any:
    client = importlib.import_module("ddgs").DDGS(timeout=max(1, int(timeout_s)))
    return client.text(query.text, max_results=query.limit)
