"""Lines we write to a pipe: encoded before the pipe is touched, and always one line each.

Params with raw members enter, bytes with a newline leave. What cannot be put on
the wire is the caller's mistake and is found here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mcp_gateway.errors import InvalidParams
from mcp_gateway.wire import Malformed, Raw, RawParams, RequestId, check, fields, notification, request

_PROGRESS_TOKEN = "progressToken"  # noqa: S105 - a member's name, no credential


def request_line(id: RequestId, method: str, params: RawParams | None, *, wants_progress: bool) -> bytes:
    """A request; with `wants_progress` its own id is its progress token.

    A token of the caller's never goes out: on a shared pipe it could equal the id of somebody else's call.

    Raises:
        InvalidParams: a lone surrogate, NaN or Infinity, nesting that no parser takes, or a `_meta` that is no object.
    """
    token = id if wants_progress else None
    sent = params if params is None and token is None else _with_token(params or {}, token)
    return _encoded(lambda: request(id, method, sent), sent)


def notification_line(method: str, params: RawParams | None) -> bytes:
    """A notification. Raises InvalidParams, as `request_line` does."""
    return _encoded(lambda: notification(method, params), params)


def line(message: bytes) -> bytes:
    """One message as one line.

    Raw members come as their sender wrote them, line breaks between tokens included; on a pipe these would end
    the message and could begin another. Inside a JSON string they cannot stand, so blanks change nothing.
    """
    if b"\n" in message or b"\r" in message:
        message = message.replace(b"\n", b" ").replace(b"\r", b" ")
    return message + b"\n"


def _with_token(params: RawParams, token: RequestId | None) -> RawParams:
    given = params.get("_meta")
    if given is None and token is None:
        return params
    meta = _meta_fields(given)
    if token is None and _PROGRESS_TOKEN not in meta:
        return params
    kept = {name: value for name, value in meta.items() if name != _PROGRESS_TOKEN}
    return {**params, "_meta": kept if token is None else {**kept, _PROGRESS_TOKEN: token}}


def _meta_fields(meta: Any) -> Mapping[str, Any]:
    if meta is None:
        return {}
    if isinstance(meta, Mapping):
        return meta
    if isinstance(meta, Raw):
        try:
            return fields(meta)
        except Malformed:
            pass
    raise InvalidParams("params._meta must be an object")


def _encoded(build: Any, params: RawParams | None) -> bytes:
    try:
        if params is not None:
            _refuse_non_finite(params)
        message: bytes = build()
        check(message)
    except Malformed as fault:
        raise InvalidParams(f"the params cannot be sent: {fault}") from None
    except (UnicodeEncodeError, OverflowError, RecursionError):
        raise InvalidParams("the params cannot be sent: text that is not Unicode, or nested too deep") from None
    return line(message)


def _refuse_non_finite(value: Any) -> None:
    """The encoder would write null for NaN and Infinity."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidParams("the params cannot be sent: NaN and Infinity are not JSON")
    elif isinstance(value, Mapping):
        for member in value.values():
            _refuse_non_finite(member)
    elif isinstance(value, list | tuple):
        for member in value:
            _refuse_non_finite(member)
