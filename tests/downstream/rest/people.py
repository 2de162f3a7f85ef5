"""Callers with less than everything. Who they are stands in a header, which only these tests believe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from mcp_gateway.downstream.http import HttpRules, http_app
from mcp_gateway.downstream.identity import identified
from mcp_gateway.security.principal import Grant, Principal
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.interaction.house import House, served

EVERY_CALL = frozenset({"read", "call", "ask"})

PEOPLE = {
    person.id: person
    for person in (
        Principal("reader", frozenset({"read"})),
        Principal("caller", frozenset({"call"})),
        Principal("asker", EVERY_CALL),
        Principal("stranger", EVERY_CALL, Grant(servers=("other",))),
        Principal("echoer", EVERY_CALL, Grant(tools=("up__echo",))),
        Principal("strange-admin", frozenset({"read", "admin"}), Grant(servers=("other",))),
    )
}


class Introduced:
    """ASGI: marks each request with the person that its header names."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = [value.decode() for name, value in scope.get("headers", ()) if name == b"x-person"]
        await self._app(identified(scope, PEOPLE[names[0]]) if names else scope, receive, send)


@asynccontextmanager
async def visited(home: House) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the house's gateway, whose requests carry `headers=as_person(...)`."""
    app = http_app(home.app.gateway, home.app.endpoint, HttpRules(), home.app.process)
    async with served(Introduced(app)) as door, httpx2.AsyncClient(base_url=door.origin, timeout=10) as client:
        yield client


def as_person(name: str) -> dict[str, str]:
    return {"X-Person": name}
