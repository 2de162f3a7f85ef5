"""The Tavily search API (docs.tavily.com, Search)."""

from __future__ import annotations

from mcp_gateway.builtin.providers.base import (
    Hit,
    Page,
    Query,
    Source,
    accepted,
    members,
    number,
    objects,
    required,
    text,
)
from mcp_gateway.builtin.providers.web import Web

URL = "https://api.tavily.com/search"
MAX_RESULTS = 20

_HINTS = {
    401: "its api_key was refused",
    432: "the limit of its plan is reached",
    433: "its pay-as-you-go limit is reached",
}


async def tavily(source: Source, query: Query, web: Web) -> Page:
    """Needs a key; `url` replaces the public address."""
    key = required(source.api_key, "api_key")
    body = {"query": query.text, "max_results": min(query.limit, MAX_RESULTS)}
    answer = await web.post(source.url or URL, body, source.timeout_s, authorization=f"Bearer {key}")
    found = accepted(answer, _HINTS)
    hits = [
        Hit(
            title=text(item.get("title")),
            url=text(item.get("url")),
            snippet=text(item.get("content")),
            published=text(item.get("published_date")) or None,
            score=number(item.get("score")),
        )
        for item in objects(members(found, "results"))
    ]
    return Page(tuple(hits), text(members(found, "answer")) or None)
