"""What is posted to the MCP doors, checked before the SDK sees it.

A body enters; it goes on to the SDK's transport when it is one JSON-RPC message,
under a request id of ours where a session is involved, and is answered here when
it is anything else: 4xx, never a fault of the server.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCNotification, JSONRPCRequest, JSONRPCResponse
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mcp_gateway.downstream.aliases import Aliases
from mcp_gateway.downstream.arrival import keep
from mcp_gateway.downstream.batch import answer, is_batch, messages
from mcp_gateway.downstream.body import read_body, replay
from mcp_gateway.downstream.door import REVISION_HEADER, SESSION_HEADER
from mcp_gateway.downstream.enclosure import closed, has_length, longer
from mcp_gateway.downstream.identity import principal_of
from mcp_gateway.downstream.intake import Refused, read_message, too_large
from mcp_gateway.downstream.lane import Lane
from mcp_gateway.downstream.places import Places
from mcp_gateway.errors import INVALID_REQUEST, Busy, MessageTooLarge, TooSlow, http_body, to_http, to_rpc
from mcp_gateway.revisions import HEADER_MISMATCH, PROTOCOL_VERSION
from mcp_gateway.wire import Raw, RequestId, encode, error_reply, fields


class Screen:
    """ASGI: one door of the SDK behind the checks; requests that are no POST pass.

    Where sessions are opened (in `places`), such a request without one is a probe: hosts that look for a login ask
    like that and want to hear 405 (2025-11-25, basic/transports: "or else return HTTP 405"). What the `lane` takes
    goes no further.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_body_bytes: int,
        *,
        places: Places | None = None,
        lane: Lane | None = None,
        takes_batches: Callable[[str, Scope], bool] = lambda session, scope: False,
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._places = places
        self._lane = lane
        self._takes_batches = takes_batches
        self._aliases = Aliases()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if scope["method"] != "POST":
            if self._places is not None and SESSION_HEADER not in headers:
                await _no_stream(scope, receive, send)
            else:
                await self._app(scope, receive, send)
            return
        if headers.get("content-encoding", "identity") != "identity":
            await _refuse(415, Refused(INVALID_REQUEST, "compressed bodies are not accepted"), scope, receive, send)
            return
        try:
            await self._post(headers, scope, receive, send)
        except ClientDisconnect:
            return
        except MessageTooLarge:
            await _refuse(413, too_large(self._max_body_bytes), scope, receive, send)
        except TooSlow as slow:
            await _refuse(408, Refused(INVALID_REQUEST, slow.message), scope, receive, send)
        except Refused as refused:
            await _refuse(400, refused, scope, receive, send)

    async def _post(self, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ClientDisconnect, MessageTooLarge, TooSlow, Refused: before anything is sent."""
        body = await read_body(receive, self._max_body_bytes)
        session = headers.get(SESSION_HEADER)
        if session is not None and is_batch(body) and self._takes_batches(session, scope):

            async def post(message: bytes, answered: Send) -> None:
                try:
                    await self._one(message, headers, dict(scope), receive, answered)
                except Refused as refused:
                    await _refuse(400, refused, scope, receive, answered)

            await answer(messages(body), post, send, session)
        else:
            await self._one(body, headers, scope, receive, send)

    async def _one(self, body: bytes, headers: Headers, scope: Scope, receive: Receive, send: Send) -> None:
        """A single message. Raises Refused: before anything is sent."""
        if self._lane is not None and await self._lane.serve(body, scope, receive, send):
            return
        message = read_message(body)
        if self._places is not None:
            check_revision(message, headers.get(REVISION_HEADER))
        await self._pass(message, body, headers.get(SESSION_HEADER), scope, receive, send)

    async def _pass(
        self, message: JSONRPCMessage, body: bytes, session: str | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Four cases: 1. a new session: its place; 2. none: nothing to mix up; 3. a request: an alias; 4. a
        cancellation: the alias meant.
        """
        keep(scope, body)
        if session is None and self._places is not None and _opens(message):
            await self._open(message, body, self._places, scope, receive, send)
        elif session is None:
            await self._app(scope, replay(body, receive), send)
        elif isinstance(message, JSONRPCRequest):
            await self._pass_request(message.id, body, session, scope, receive, send)
        else:
            if isinstance(message, JSONRPCResponse | JSONRPCError):
                body = closed(body)
            elif isinstance(message, JSONRPCNotification) and message.method == "notifications/cancelled":
                body = self._cancellation(message.params or {}, body, session)
            await self._app(scope, replay(body, receive), send)

    async def _open(
        self, opening: JSONRPCRequest, body: bytes, places: Places, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """The place is held until the answer is out; an open session has taken one of its own by then."""
        try:
            with places.place(principal_of(scope)):
                await self._app(scope, replay(body, receive), send)
        except Busy as full:
            status, _ = to_http(full)
            reply = error_reply(opening.id, encode(to_rpc(full)))
            await Response(reply, status, media_type="application/json")(scope, receive, send)

    async def _pass_request(
        self, id: RequestId, body: bytes, session: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        alias = self._aliases.lend(session, id)
        held: list[Message] = []

        async def restoring(event: Message) -> None:
            if event["type"] == "http.response.start" and has_length(event):
                held.append(event)  # until it is known how long the answer is with the client's id
                return
            if event["type"] == "http.response.body" and not alias.answered:
                before = event.get("body", b"")
                event = {**event, "body": alias.restore(before)}
                held[:] = [longer(start, len(event["body"]) - len(before)) for start in held]
            while held:
                await send(held.pop())
            await send(event)

        renamed = encode({**fields(body), "id": alias.id})
        try:
            await self._app(scope, replay(renamed, receive), restoring)
        finally:
            self._aliases.give_back(session, id, alias)

    def _cancellation(self, params: dict[str, Any], body: bytes, session: str) -> bytes:
        """The notification with our id; unchanged, which means nothing to the SDK, where it is not clear which call."""
        id = params.get("requestId")
        alias_id = self._aliases.of(session, id) if isinstance(id, str) or type(id) is int else None
        if alias_id is None:
            return body
        renamed = {**fields(fields(body)["params"]), "requestId": alias_id}
        return encode({**fields(body), "params": Raw(encode(renamed))})


def _opens(message: JSONRPCMessage) -> TypeGuard[JSONRPCRequest]:
    return isinstance(message, JSONRPCRequest) and message.method == "initialize"


def check_revision(message: JSONRPCMessage, header: str | None) -> None:
    """Raises Refused where the body names another revision than the header, or the header none (2026-07-28).

    The SDK compares them where the header names a modern one; otherwise it would read a modern body as a legacy one.
    """
    if not isinstance(message, JSONRPCRequest):
        return
    meta = (message.params or {}).get("_meta")
    named = meta.get(PROTOCOL_VERSION) if isinstance(meta, dict) else None
    if named is not None and named != header:
        raise Refused(HEADER_MISMATCH, f"{REVISION_HEADER} header does not match the revision in _meta", message.id)


async def _no_stream(scope: Scope, receive: Receive, send: Send) -> None:
    body = http_body("send messages by POST; streams and sessions need a session id", {"code": "method_not_allowed"})
    await JSONResponse(body, 405, headers={"Allow": "POST"})(scope, receive, send)


async def _refuse(status: int, refused: Refused, scope: Scope, receive: Receive, send: Send) -> None:
    await Response(refused.reply, status, media_type="application/json")(scope, receive, send)
