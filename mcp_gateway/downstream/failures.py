"""What a failure is on an HTTP door: status, `{error, timestamp, details}`, and when to try again.

An exception enters, plain data and a response leave. The one place for REST, its event streams and the WebSocket.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import JSONResponse

from mcp_gateway.errors import (
    CODES,
    ERROR_META_KEY,
    INVALID_PARAMS,
    RESOURCE_NOT_FOUND,
    GatewayError,
    InternalError,
    ModelUnavailable,
    RpcError,
    http_body,
    to_http,
)
from mcp_gateway.wire import Raw, fields, loads

logger = logging.getLogger(__name__)

_BAD_GATEWAY: Final = 502
_STATUS: Final = {INVALID_PARAMS: 400, RESOURCE_NOT_FOUND: 404}
"""An upstream's own error code -> status; any other is the upstream's fault."""


class ToolFailed(GatewayError):
    """A built-in tool told in its result that it failed; `code` is the stable one it named, `result` its structure."""

    def __init__(self, code: str, message: str, server: str | None = None, result: Any = None) -> None:
        super().__init__(message, server=server)
        self.code = code if code in CODES else InternalError.code  # type: ignore[misc]  # a class attribute elsewhere
        self.result = result


@dataclass(frozen=True, slots=True)
class Failure:
    """How a request ended that did not succeed."""

    status: int
    body: dict[str, Any]
    retry_after_s: float | None = None

    def response(self) -> JSONResponse:
        after_s = self.retry_after_s
        headers = None if after_s is None else {"Retry-After": str(max(1, math.ceil(after_s)))}  # RFC 9110, 10.2.3
        return JSONResponse(self.body, self.status, headers)


def told(raised: Exception) -> Failure:
    """The failure for a caller. What is none of ours is logged, and its text stays in here."""
    match raised:
        case RpcError():
            error = raised.error
            details = {"code": "upstream_error", "rpc": error}
            return Failure(_STATUS.get(error["code"], _BAD_GATEWAY), http_body(error["message"], details))
        case GatewayError():
            status, body = to_http(raised)
            if isinstance(raised, ToolFailed) and raised.result is not None:
                body["details"]["result"] = raised.result
            return Failure(status, body, raised.retry_after_s)
    logger.error("request.failed", exc_info=raised)
    return Failure(*to_http(InternalError("internal error")))


def structure(raw: Raw) -> Raw:
    """What a built-in tool answers, without the tool's result around it.

    Raises ToolFailed, with the code that a result with `isError` tells of.
    """
    result = fields(raw)
    answer = result.get("structuredContent", Raw(b"null"))
    if loads(result.get("isError", Raw(b"false"))):
        raise _failed(loads(raw), loads(answer))
    return answer


def _failed(result: Mapping[str, Any], answer: Any) -> ToolFailed:
    """1. our own mark of a failure on the way; 2. the answer of a model that failed."""
    mark = (result.get("_meta") or {}).get(ERROR_META_KEY)
    if mark is not None:
        return ToolFailed(mark["code"], result["content"][0]["text"], mark["server"])
    code = answer["error_code"] or ModelUnavailable.code
    return ToolFailed(code, answer["error"] or "the model failed", result=answer)
