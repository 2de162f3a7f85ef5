"""A session of Streamable HTTP, 2025-11-25, posted by hand: ids, headers and bytes are the test's own."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any, Self

import httpx2

REVISION = "2025-11-25"
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


def opening(version: str = REVISION) -> dict[str, Any]:
    """The params of `initialize`."""
    return {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "by hand", "version": "0"}}


class Session:
    """An initialized session; what it hears besides answers is kept in `heard`."""

    def __init__(self, url: str, capabilities: dict[str, Any] | None = None, revision: str = REVISION) -> None:
        self.url = url
        self._opening = {**opening(revision), "capabilities": capabilities or {}}
        self.headers = dict(HEADERS)
        self.heard: list[dict[str, Any]] = []
        self.http = httpx2.AsyncClient(timeout=20)

    async def __aenter__(self) -> Self:
        await self.ask(0, "initialize", self._opening)
        self.headers["MCP-Protocol-Version"] = self._opening["protocolVersion"]
        await self.tell("notifications/initialized")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def post(self, message: Any) -> httpx2.Response:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        return await self.http.post(self.url, headers=self.headers, content=body)

    async def ask(self, id: int | str, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer with everything around it."""
        response = await self.post({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})
        if session := response.headers.get("mcp-session-id"):
            self.headers["Mcp-Session-Id"] = session
        *before, answer = messages(response)
        self.heard += before
        return answer

    async def tell(self, method: str, params: dict[str, Any] | None = None) -> None:
        response = await self.post({"jsonrpc": "2.0", "method": method, "params": params or {}})
        assert response.status_code == 202, response.text


def messages(response: httpx2.Response) -> list[dict[str, Any]]:
    """What a response holds, as JSON or as an event stream."""
    if "event-stream" not in response.headers["content-type"]:
        return [response.json()]
    lines = response.content.splitlines()  # of bytes: text has more kinds of line ends than an event stream
    return [json.loads(line.removeprefix(b"data: ")) for line in lines if line.startswith(b"data: ")]
