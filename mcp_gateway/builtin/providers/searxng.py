"""SearXNG over its JSON interface: self-hosted, without a key (docs.searxng.org, Search API)."""

from __future__ import annotations

from typing import Any

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

_HINTS = {
    403: "JSON is switched off there, as it is by default; add `json` to `search.formats` in its settings.yml",
    429: "its limiter refused; let this machine pass in its limiter.toml, or set `server.limiter: false`",
}


async def searxng(source: Source, query: Query, web: Web) -> Page:
    """Engines that did not answer become warnings."""
    url = required(source.url, "url").rstrip("/")
    url = url if url.endswith("/search") else f"{url}/search"
    answer = await web.get(url, {"q": query.text, "format": "json"}, source.timeout_s)
    body = accepted(answer, _HINTS)
    hits = [
        Hit(
            title=text(item.get("title")),
            url=text(item.get("url")),
            snippet=text(item.get("content")),
            source=text(item.get("engine")),
            published=text(item.get("publishedDate")) or None,
            score=number(item.get("score")),
        )
        for item in objects(members(body, "results"))
    ]
    return Page(tuple(hits), _answer(members(body, "answers")), _warnings(members(body, "unresponsive_engines")))


def _answer(answers: Any) -> str | None:
    """The first instant answer: plain text in older versions, an object in newer ones."""
    first = answers[0] if isinstance(answers, list) and answers else None
    return text(first) or text(members(first, "answer")) or None


def _warnings(engines: Any) -> tuple[str, ...]:
    pairs = [pair for pair in engines if isinstance(pair, list)] if isinstance(engines, list) else []
    return tuple(f"engine did not answer: {': '.join(map(str, pair[:2]))}" for pair in pairs)
