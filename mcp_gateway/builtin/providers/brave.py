"""The Brave Search API (api-dashboard.search.brave.com, Web Search)."""

from __future__ import annotations

from mcp_gateway.builtin.providers.base import Hit, Page, Query, Source, accepted, members, objects, required, text
from mcp_gateway.builtin.providers.web import Web

URL = "https://api.search.brave.com/res/v1/web/search"
MAX_COUNT = 20

_REFUSED = "its api_key was refused"
_HINTS = {401: _REFUSED, 403: _REFUSED, 422: "it refused the query or its api_key"}


async def brave(source: Source, query: Query, web: Web) -> Page:
    """Needs a key; `url` replaces the public address."""
    key = required(source.api_key, "api_key")
    params = {"q": query.text, "count": str(min(query.limit, MAX_COUNT))}
    answer = await web.get(source.url or URL, params, source.timeout_s, x_subscription_token=key)
    hits = [
        Hit(
            title=text(item.get("title")),
            url=text(item.get("url")),
            snippet=text(item.get("description")),
            source=text(members(item, "profile", "name")),
            published=text(item.get("page_age")) or None,
        )
        for item in objects(members(accepted(answer, _HINTS), "web", "results"))
    ]
    return Page(tuple(hits))
