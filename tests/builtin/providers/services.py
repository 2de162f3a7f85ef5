"""Search services on the loopback, answering in the shapes of the real ones."""

from __future__ import annotations

from typing import Any

from mcp_gateway.builtin.providers import Page, Query, Source, Web
from mcp_gateway.builtin.providers.base import Provider

from tests.fakes.http_server import Request, Script, ScriptedServer, Wire

QUERY = Query("quick brown fox", 5)

SEARXNG: dict[str, Any] = {
    "query": "quick brown fox",
    "number_of_results": 0,
    "results": [
        {
            "url": "https://example.com/fox",
            "title": "The <b>fox</b>",
            "content": "A quick brown fox.",
            "engine": "mojeek",
            "score": 1.5,
            "publishedDate": "2026-01-02T00:00:00",
        },
        {"url": "https://example.org/dog", "title": "The dog", "content": None, "score": None, "publishedDate": None},
    ],
    "answers": [{"answer": "A pangram.", "url": "https://example.net"}],
    "unresponsive_engines": [["google", "timeout"]],
}
BRAVE: dict[str, Any] = {
    "type": "search",
    "web": {
        "results": [
            {
                "title": "The fox",
                "url": "https://example.com/fox",
                "description": "A <strong>quick</strong> brown fox",
                "page_age": "2026-01-02T00:00:00",
                "profile": {"name": "Example"},
            }
        ]
    },
}
TAVILY: dict[str, Any] = {
    "query": "quick brown fox",
    "answer": "A pangram.",
    "results": [{"title": "The fox", "url": "https://example.com/fox", "content": "A quick brown fox", "score": 0.9}],
}


def answering(body: Any, status: int = 200, **headers: str) -> Script:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json(body, status, **headers)

    return script


def origin(server: ScriptedServer) -> str:
    return server.url.removesuffix("/mcp")


async def ask(provider: Provider, url: str, query: Query = QUERY, timeout_s: float = 5.0) -> Page:
    return await provider(Source("test", url, "key-1", timeout_s), query, Web({}))
