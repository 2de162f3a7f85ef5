"""Operations that act: each is one call on `Gateway.route`, answered whole or as an event stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.downstream.event_stream import MEDIA_TYPE, EventStream, whole
from mcp_gateway.downstream.failures import ToolFailed
from mcp_gateway.downstream.rest.desk import Desk
from mcp_gateway.downstream.rest.requests import (
    AskRequest,
    CallRequest,
    EmbeddingsRequest,
    PromptRequest,
    ReadRequest,
    SearchRequest,
)
from mcp_gateway.errors import ERROR_META_KEY, ModelUnavailable
from mcp_gateway.llm.confirmation import CONFIRM_KEY
from mcp_gateway.security.policy import require
from mcp_gateway.wire import Raw, encode, fields, loads

OWN: Final = frozenset({"timeout_s", "stream", "confirm"})
"""Members that are for this door; the others are a tool's arguments."""

LOG_LEVEL: Final = "info"
"""What a stream hears of upstreams that log only for those who ask (2026-07-28; our choice)."""


async def call_tool(desk: Desk, request: Request) -> Response:
    """The `CallToolResult`, with 200 also when `isError` (design, decision 9). Arguments are passed on as they came."""
    body, members = await desk.read(request, CallRequest)
    params = {"name": request.path_params["name"], "arguments": members.get("arguments", Raw(b"{}"))}
    call = Call("tools/call", params, desk.client(request), deadline_s=body.timeout_s)
    return await _answer(desk, request, call, streams=_wants_stream(request, body.stream))


async def get_prompt(desk: Desk, request: Request) -> Response:
    body, _ = await desk.read(request, PromptRequest)
    params = {"name": request.path_params["name"], "arguments": body.arguments}
    return await _answer(desk, request, Call("prompts/get", params, desk.client(request)))


async def read_resource(desk: Desk, request: Request) -> Response:
    body, _ = await desk.read(request, ReadRequest)
    return await _answer(desk, request, Call("resources/read", {"uri": body.uri}, desk.client(request)))


async def search(desk: Desk, request: Request) -> Response:
    """What the built-in tool of that name finds."""
    body, members = await desk.read(request, SearchRequest)
    call = _builtin("search", members, desk.client(request), body.timeout_s)
    return await _answer(desk, request, call, structured=True)


async def ask(desk: Desk, request: Request) -> Response:
    """What the built-in tool of that name answers. Raises Forbidden: `confirm: auto` without the scope `execute`."""
    body, members = await desk.read(request, AskRequest)
    client = desk.client(request)
    call = _builtin("ask", members, client, body.timeout_s)
    if body.confirm == "auto":
        require(client.principal, "execute")
        call.params["_meta"] = {CONFIRM_KEY: "auto"}
    return await _answer(desk, request, call, structured=True, streams=_wants_stream(request, body.stream))


async def embeddings(desk: Desk, request: Request) -> Response:
    body, _ = await desk.read(request, EmbeddingsRequest)
    texts = [body.input] if isinstance(body.input, str) else body.input
    principal = desk.client(request).principal

    async def run() -> bytes:
        with desk.in_flight:
            made = await desk.process.embed(principal, texts)
        return encode({"embeddings": made.vectors, "model": made.model})

    return await whole(run, request.receive)


def _builtin(name: str, members: Mapping[str, Raw], client: Client, deadline_s: float | None) -> Call:
    arguments = {member: value for member, value in members.items() if member not in OWN}
    return Call("tools/call", {"name": name, "arguments": arguments}, client, deadline_s=deadline_s)


def _wants_stream(request: Request, asked: bool | None) -> bool:
    return MEDIA_TYPE in request.headers.get("accept", "") if asked is None else asked


async def _answer(
    desk: Desk, request: Request, call: Call, *, structured: bool = False, streams: bool = False
) -> Response:
    """With `structured` the answer is the result's structure, and a result that tells of a failure is one."""

    async def run(sink: Sink) -> bytes:
        with desk.in_flight:
            raw = await desk.gateway.route(call, sink)
        return _structure(raw) if structured else bytes(raw)

    if streams:
        call.log_level = LOG_LEVEL
        return EventStream(run, call.client.key)
    return await whole(lambda: run(QUIET), request.receive)


def _structure(raw: Raw) -> bytes:
    """Raises ToolFailed, with the code that the result tells of."""
    result = fields(raw)
    structure = result.get("structuredContent", Raw(b"null"))
    if loads(result.get("isError", Raw(b"false"))):
        raise _failed(loads(raw), loads(structure))
    return bytes(structure)


def _failed(result: Mapping[str, Any], structure: Any) -> ToolFailed:
    """1. our own mark of a failure on the way; 2. the answer of a model that failed."""
    mark = (result.get("_meta") or {}).get(ERROR_META_KEY)
    if mark is not None:
        return ToolFailed(mark["code"], result["content"][0]["text"], mark["server"])
    code = structure["error_code"] or ModelUnavailable.code
    return ToolFailed(code, structure["error"] or "the model failed", result=structure)
