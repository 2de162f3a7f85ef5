"""Bytes on their way through the SDK: enclosed as one string, opened where the message leaves.

The SDK's transports decode and encode whatever passes them, which respells numbers,
escapes and spaces. A result, an error or params that are `enclosed` are a single
string to it, and `opened` puts the very bytes back in their place. The member's name
is drawn anew in every process, so no peer can write one.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_gateway.errors import RpcError
from mcp_gateway.wire import Malformed, Raw, encode, fields, loads

_MEMBER: Final = f"io.mcp-gateway/{secrets.token_hex(8)}"
_MARK: Final = _MEMBER.encode()
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")

_DATA: Final = b"data: "
_LINE_END: Final = b"\r\n"


def enclosed(raw: bytes | Raw) -> dict[str, Any]:
    """What stands for an object of these bytes while the SDK has it."""
    return {_MEMBER: bytes(raw).decode()}


def content(member: Mapping[str, Any]) -> Raw:
    """The bytes of an object that came through the SDK; one that was not enclosed is encoded."""
    text = member.get(_MEMBER)
    return Raw(text.encode() if isinstance(text, str) else encode(member))


def mcp_error(refused: RpcError) -> MCPError:
    """The SDK's exception for an upstream's error; its code decides the HTTP status, its bytes are what is sent."""
    error = refused.error
    return MCPError(error["code"], error["message"], enclosed(refused.told))


def error_of(refused: MCPError) -> RpcError:
    """What a client answered a question with, as it came."""
    error = refused.error
    text = error.data.get(_MEMBER) if isinstance(error.data, dict) else None
    return RpcError(text.encode()) if isinstance(text, str) else RpcError.of(error.code, error.message, error.data)


def closed(answer: bytes) -> bytes:
    """A client's answer to a question, a response or an error, with its bytes enclosed."""
    members = fields(answer)
    if "result" in members:
        return encode({**members, "result": enclosed(members["result"])})
    return encode({**members, "error": {**fields(members["error"]), "data": enclosed(members["error"])}})


def opened(message: bytes) -> bytes:
    """An outgoing message with the bytes that were enclosed in it; line breaks between its tokens become spaces."""
    if _MARK not in message:
        return message
    members = fields(message)
    for name in ("result", "params"):
        if name in members and (inner := _enclosed_in(members[name])) is not None:
            members[name] = inner
    if "error" in members and (inner := _enclosed_in(fields(members["error"]).get("data", Raw(b"null")))) is not None:
        members["error"] = inner
    return encode(members).translate(_LINE_BREAKS)


def _enclosed_in(raw: Raw) -> Raw | None:
    if _MARK not in bytes(raw):
        return None
    try:
        text = fields(raw).get(_MEMBER)
    except Malformed:
        return None
    return None if text is None else Raw(loads(text).encode())


class Opening:
    """ASGI: opens what an app of the SDK answers, a JSON body or events; each event is one piece of the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        held: list[Message] = []

        async def opening(event: Message) -> None:
            if event["type"] == "http.response.start" and has_length(event):
                held.append(event)  # until it is known how long the body is
                return
            if event["type"] == "http.response.body" and _MARK in event.get("body", b""):
                body = event["body"]
                event = {**event, "body": opened(body) if held else _opened_event(body)}
                held[:] = [longer(start, len(event["body"]) - len(body)) for start in held]
            while held:
                await send(held.pop())
            await send(event)

        await self._app(scope, receive, opening)


def _opened_event(event: bytes) -> bytes:
    head, _, rest = event.partition(_DATA)
    message, end, tail = rest.partition(_LINE_END)
    return head + _DATA + opened(message) + end + tail


def has_length(start: Message) -> bool:
    return any(name == b"content-length" for name, _ in start["headers"])


def longer(start: Message, by: int) -> Message:
    """The start of a response whose body is that many bytes longer than it says."""
    headers = [
        (name, str(int(value) + by).encode() if name == b"content-length" else value)
        for name, value in start["headers"]
    ]
    return {**start, "headers": headers}
