"""A gateway with a model that says what a script says, and somebody at its REST door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.downstream.rest.people import AUTH, client_of
from tests.fakes.openai_server import MODEL, OpenAIServer, Turn, openai_server
from tests.interaction.house import House, house

TOOLS = {name: {"enabled": False} for name in ("execute", "analyze_code")}


@dataclass(frozen=True, slots=True)
class Asking:
    """What a test works with."""

    http: httpx2.AsyncClient
    home: House
    model: OpenAIServer

    async def post(self, path: str, body: Any, **options: Any) -> httpx2.Response:
        return await self.http.post(f"/api/v1/{path}", json=body, **options)


@asynccontextmanager
async def asking(folder: Path, *turns: Turn, **llm: Any) -> AsyncIterator[Asking]:
    """With the built-in tools that use a model or find something. More of the `llm` section as keywords."""
    async with openai_server(list(turns)) as model:
        section = {"base_url": model.url, "model": MODEL, **llm}
        async with house(folder, tools=TOOLS, llm=section, auth=AUTH) as home, client_of(home) as http:
            yield Asking(http, home, model)
