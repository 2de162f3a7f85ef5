"""One message of a client: bytes come in, a JSON-RPC message leaves, or the error to answer.

Stricter than the SDK's parsers, which let through what is respelled or breaks a
writer later: NaN, numbers no double holds, lone surrogates, deep nesting (R-PARSE-1).
"""

from __future__ import annotations

from typing import Any, Final

from mcp_types import JSONRPCMessage, JSONRPCNotification, jsonrpc_message_adapter
from pydantic import ValidationError

from mcp_gateway.errors import INVALID_REQUEST, RpcError
from mcp_gateway.wire import Malformed, RequestId, check, error_reply, loads

PARSE_ERROR: Final = -32700
"""JSON-RPC 2.0, section 5.1."""


class Refused(ValueError):
    """The bytes are not one message; `reply` is the whole error response."""

    def __init__(self, code: int, message: str, id: RequestId | None = None) -> None:
        super().__init__(message)
        self.reply = error_reply(id, RpcError.of(code, message).raw)


def read_message(raw: bytes) -> JSONRPCMessage:
    """The message. Raises Refused."""
    try:
        check(raw)
        decoded = loads(raw)
    except Malformed as fault:
        raise Refused(PARSE_ERROR, f"Parse error: {fault}") from None
    try:
        message = jsonrpc_message_adapter.validate_python(decoded, by_name=False)
    except ValidationError:
        raise Refused(INVALID_REQUEST, _reason(decoded), _id_of(decoded)) from None
    if isinstance(message, JSONRPCNotification) and "id" in decoded:
        raise Refused(INVALID_REQUEST, "Invalid request: an id is a string or a whole number")
    return message


def too_large(max_bytes: int) -> Refused:
    """The refusal of a message that was not even read."""
    return Refused(INVALID_REQUEST, f"message too large: more than {max_bytes} bytes (limits.max_body)")


def _reason(decoded: Any) -> str:
    if isinstance(decoded, list):
        return "Invalid request: batches are not supported, send one message at a time"
    return "Invalid request: not a JSON-RPC message"


def _id_of(decoded: Any) -> RequestId | None:
    """The id, so that whoever waits for the answer gets it; None where it cannot be told."""
    id = decoded.get("id") if isinstance(decoded, dict) else None
    return id if isinstance(id, str) or type(id) is int else None
