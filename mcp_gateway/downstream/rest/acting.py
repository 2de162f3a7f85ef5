"""Operations that act: each is one call, answered whole or as an event stream.

Calls go through `Gateway.route`; only making vectors, which no name stands for, has a short path of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mcp_gateway.call import QUIET, Call, Sink
from mcp_gateway.downstream.event_stream import MEDIA_TYPE, EventStream, whole
from mcp_gateway.downstream.failures import structure
from mcp_gateway.downstream.rest.desk import Desk
from mcp_gateway.downstream.rest.requests import (
    AskRequest,
    CallRequest,
    EmbeddingsRequest,
    PromptRequest,
    ReadRequest,
    SearchRequest,
)
from mcp_gateway.llm.confirmation import CONFIRM_KEY
from mcp_gateway.observe.trace import at_work
from mcp_gateway.security.policy import require
from mcp_gateway.wire import Raw

OWN: Final = frozenset({"timeout_s", "stream", "confirm"})
"""Members that are for this door; the others are a tool's arguments."""

LOG_LEVEL: Final = "info"
"""What a stream hears of upstreams that log only for those who ask (2026-07-28; our choice)."""


async def call_tool(desk: Desk, request: Request) -> Response:
    """The `CallToolResult`, with 200 also when `isError` (design, decision 9). Arguments are passed on as they came."""
    body, members = await desk.read(request, CallRequest)
    params = {"name": request.path_params["name"], "arguments": members.get("arguments", Raw(b"{}"))}
    call = desk.call(request, "tools/call", params, body.timeout_s)
    return await _answer(desk, request, call, streams=_wants_stream(request, body.stream))


async def get_prompt(desk: Desk, request: Request) -> Response:
    body, _ = await desk.read(request, PromptRequest)
    params = {"name": request.path_params["name"], "arguments": body.arguments}
    return await _answer(desk, request, desk.call(request, "prompts/get", params))


async def read_resource(desk: Desk, request: Request) -> Response:
    body, _ = await desk.read(request, ReadRequest)
    return await _answer(desk, request, desk.call(request, "resources/read", {"uri": body.uri}))


async def search(desk: Desk, request: Request) -> Response:
    """What the built-in tool of that name finds."""
    body, members = await desk.read(request, SearchRequest)
    call = desk.call(request, "tools/call", _builtin("search", members), body.timeout_s)
    return await _answer(desk, request, call, structured=True)


async def ask(desk: Desk, request: Request) -> Response:
    """What the built-in tool of that name answers. Raises Forbidden: `confirm: auto` without the scope `execute`."""
    body, members = await desk.read(request, AskRequest)
    call = desk.call(request, "tools/call", _builtin("ask", members), body.timeout_s)
    if body.confirm == "auto":
        require(call.principal, "execute")
        call.params["_meta"] = {CONFIRM_KEY: "auto"}
    return await _answer(desk, request, call, structured=True, streams=_wants_stream(request, body.stream))


async def embeddings(desk: Desk, request: Request) -> Response:
    body, _ = await desk.read(request, EmbeddingsRequest)
    texts = [body.input] if isinstance(body.input, str) else body.input
    call = desk.call(request, "embeddings", {"arguments": {"input": texts}})

    async def run() -> bytes:
        with desk.in_flight, at_work(call.trace):
            return bytes(await desk.process.embed(call))

    return await whole(run, request.receive)


def _builtin(name: str, members: Mapping[str, Raw]) -> dict[str, Any]:
    """The params of a call of a built-in tool: what is not for this door is for the tool."""
    return {"name": name, "arguments": {member: value for member, value in members.items() if member not in OWN}}


def _wants_stream(request: Request, asked: bool | None) -> bool:
    """The body's word, else that of a header which names event streams; who would take JSON too gets JSON."""
    accepted = request.headers.get("accept", "")
    return MEDIA_TYPE in accepted and "application/json" not in accepted if asked is None else asked


async def _answer(
    desk: Desk, request: Request, call: Call, *, structured: bool = False, streams: bool = False
) -> Response:
    """With `structured` the answer is the result's structure, and a result that tells of a failure is one."""

    async def run(sink: Sink) -> bytes:
        with desk.in_flight:
            raw = await desk.gateway.route(call, sink)
        return bytes(structure(raw) if structured else raw)

    if streams:
        call.log_level = LOG_LEVEL
        return EventStream(run, call.client.key)
    return await whole(lambda: run(QUIET), request.receive)
