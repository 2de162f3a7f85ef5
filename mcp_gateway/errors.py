"""The error tree, and its two translations: to a JSON-RPC error and to an HTTP body.

The branches answer one question: what can the caller do?

    GatewayError
    ├── CallerError                 correct the request
    │   ├── InvalidParams             invalid_params
    │   │   └── InvalidRequestState     invalid_request_state
    │   ├── UnknownName               unknown_name (a refused name looks the same)
    │   ├── UnknownMethod             unknown_method
    │   ├── Unauthorized              unauthorized
    │   ├── Forbidden                 forbidden
    │   ├── Cancelled                 cancelled
    │   ├── SlowConsumer              slow_consumer
    │   ├── TooSlow                   too_slow
    │   └── MessageTooLarge           message_too_large
    ├── TryLater                    the request was fine; the moment was not
    │   ├── UpstreamUnavailable       upstream_unavailable
    │   ├── UpstreamTimeout           upstream_timeout
    │   ├── UpstreamDisconnected      upstream_disconnected
    │   ├── UpstreamBusy              upstream_busy
    │   ├── UpstreamRemoved           upstream_removed
    │   ├── Busy                      busy
    │   ├── Overloaded                overloaded
    │   ├── RateLimited               rate_limited
    │   └── ModelUnavailable          model_unavailable
    └── OperatorError               somebody has to mend something
        ├── BadConfig                 bad_config
        ├── UpstreamAuth              upstream_auth
        │   └── NeedsAuth               needs_auth
        ├── UpstreamStartFailed       upstream_start_failed
        ├── UpstreamProtocolError     upstream_protocol_error
        ├── UpstreamMessageTooLarge   upstream_message_too_large
        ├── NotRunning                not_running
        ├── PortBusy                  port_busy
        ├── CannotCreate              cannot_create
        ├── SandboxUnavailable        sandbox_unavailable
        ├── SearchUnavailable         search_unavailable
        ├── ModelRefused              model_refused
        ├── SecretKeyRefused          secret_key_refused
        ├── SecretDamaged             secret_damaged
        ├── PinsUnreadable            pins_unreadable
        └── InternalError             internal_error
    RpcError                        an upstream's own JSON-RPC error, passed on unchanged

Nothing here raises on behalf of a door: the two translations return plain data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

ERROR_META_KEY = "io.mcp-gateway/error"
"""Where a failing `tools/call` result says which stable code it stands for (design, decision 8)."""

# JSON-RPC 2.0, section 5.1, and the MCP schema (2026-07-28, basic/index#error-codes).
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
RESOURCE_NOT_FOUND = -32002
"""Used up to 2025-11-25; 2026-07-28 answers -32602 instead."""


@dataclass(frozen=True, slots=True)
class Translation:
    """What one stable code becomes on each wire."""

    rpc: int
    http: int
    exit: int


CODES: Mapping[str, Translation] = {
    "invalid_params": Translation(INVALID_PARAMS, 400, 65),
    "invalid_request_state": Translation(INVALID_PARAMS, 400, 65),
    "unknown_name": Translation(INVALID_PARAMS, 404, 66),
    "unknown_method": Translation(METHOD_NOT_FOUND, 404, 2),
    "unauthorized": Translation(INVALID_REQUEST, 401, 3),
    "forbidden": Translation(INVALID_PARAMS, 403, 77),
    "message_too_large": Translation(INVALID_REQUEST, 413, 65),
    "cancelled": Translation(INTERNAL_ERROR, 499, 1),
    "slow_consumer": Translation(INTERNAL_ERROR, 408, 1),
    "too_slow": Translation(INVALID_REQUEST, 408, 65),
    "upstream_unavailable": Translation(INTERNAL_ERROR, 503, 4),
    "upstream_timeout": Translation(INTERNAL_ERROR, 504, 4),
    "upstream_disconnected": Translation(INTERNAL_ERROR, 502, 4),
    "upstream_busy": Translation(INTERNAL_ERROR, 503, 4),
    "upstream_removed": Translation(INTERNAL_ERROR, 503, 4),
    "bad_config": Translation(INTERNAL_ERROR, 500, 78),
    "upstream_auth": Translation(INTERNAL_ERROR, 502, 3),
    "needs_auth": Translation(INTERNAL_ERROR, 502, 3),
    "upstream_start_failed": Translation(INTERNAL_ERROR, 502, 4),
    "upstream_protocol_error": Translation(INTERNAL_ERROR, 502, 4),
    "upstream_message_too_large": Translation(INTERNAL_ERROR, 502, 4),
    "not_running": Translation(INTERNAL_ERROR, 503, 69),
    "port_busy": Translation(INTERNAL_ERROR, 503, 69),
    "rate_limited": Translation(INTERNAL_ERROR, 429, 69),
    "busy": Translation(INTERNAL_ERROR, 503, 69),
    "overloaded": Translation(INTERNAL_ERROR, 503, 69),
    "cannot_create": Translation(INTERNAL_ERROR, 500, 73),
    "sandbox_unavailable": Translation(INTERNAL_ERROR, 503, 69),
    "search_unavailable": Translation(INTERNAL_ERROR, 503, 69),
    "model_unavailable": Translation(INTERNAL_ERROR, 503, 4),
    "model_refused": Translation(INTERNAL_ERROR, 502, 77),
    "secret_key_refused": Translation(INTERNAL_ERROR, 500, 77),
    "secret_damaged": Translation(INTERNAL_ERROR, 500, 65),
    "pins_unreadable": Translation(INTERNAL_ERROR, 500, 78),
    "internal_error": Translation(INTERNAL_ERROR, 500, 1),
}
"""Every stable code. Exit codes are those of the design: 65 bad data, 66 no such name, 78 bad config, and so on."""


class GatewayError(Exception):
    """Something went wrong that has a stable code.

    `server` names the upstream concerned, or is None. The message is for the
    caller: it never holds a secret, a path of this machine or an upstream's stderr.
    """

    code: ClassVar[str] = "internal_error"

    status: int | None = None
    """The HTTP status an upstream answered with, where that is what went wrong."""

    retry_after_s: float | None = None
    """How long the upstream asked to be left alone (`Retry-After`)."""

    def __init__(self, message: str, *, server: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.server = server


class CallerError(GatewayError):
    """The caller can correct the request."""

    code = "invalid_params"


class InvalidParams(CallerError):
    """The request does not have the shape its method needs."""


class InvalidRequestState(InvalidParams):
    """No call waits for this `requestState`; why not is never told (2026-07-28, basic/patterns/mrtr)."""

    code = "invalid_request_state"

    def __init__(self) -> None:
        super().__init__("Invalid or expired requestState")


class UnknownName(CallerError):
    """No such tool, prompt, resource or server; one that the caller may not use looks the same."""

    code = "unknown_name"

    def __init__(self, kind: str, name: str, *, nearest: str | None = None) -> None:
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        super().__init__(f"Unknown {kind}: {name}{hint}")
        self.kind = kind
        self.name = name


class UnknownMethod(CallerError):
    """The gateway and its upstreams do not serve this method."""

    code = "unknown_method"

    def __init__(self, method: str) -> None:
        super().__init__(f"Method not found: {method}")


class Unauthorized(CallerError):
    """No credential, or one that is not accepted; which of the two is not told."""

    code = "unauthorized"


class Forbidden(CallerError):
    """The caller is known, and may not do this kind of thing."""

    code = "forbidden"


class MessageTooLarge(CallerError):
    """The caller's message is above `limits.max_body`."""

    code = "message_too_large"


class Cancelled(CallerError):
    """The caller has taken the call back; it may have had effects already."""

    code = "cancelled"


class SlowConsumer(CallerError):
    """The caller does not take the frames that it has asked for."""

    code = "slow_consumer"


class TooSlow(CallerError):
    """The request did not arrive in the time it has."""

    code = "too_slow"


class TryLater(GatewayError):
    """The request was fine; the moment was not."""

    code = "upstream_unavailable"


class UpstreamUnavailable(TryLater):
    """No connection to the upstream within the deadline."""


class UpstreamTimeout(TryLater):
    """Connected, but no answer within the deadline."""

    code = "upstream_timeout"


class UpstreamDisconnected(TryLater):
    """The connection ended while the call was under way; it may or may not have run."""

    code = "upstream_disconnected"


class UpstreamBusy(TryLater):
    """The upstream's concurrency limit and its queue are full."""

    code = "upstream_busy"


class UpstreamRemoved(TryLater):
    """The upstream left the configuration while the call was under way."""

    code = "upstream_removed"


class Busy(TryLater):
    """A built-in tool does as much as it may and its waiting line is full, or as many sessions are open as may be."""

    code = "busy"


class Overloaded(TryLater):
    """The gateway is near a limit of its own, of memory or of connections, and takes nothing new on."""

    code = "overloaded"


class RateLimited(TryLater):
    """The caller asks more often, or for more at once, than it may; `retry_after_s` says when to try again."""

    code = "rate_limited"


class ModelUnavailable(TryLater):
    """The language model did not answer, or not in a shape that can be used."""

    code = "model_unavailable"


class OperatorError(GatewayError):
    """Somebody has to mend the configuration, a credential or an upstream."""


class BadConfig(OperatorError):
    """The configuration cannot be used; the message lists every problem, a line each."""

    code = "bad_config"


class UpstreamAuth(OperatorError):
    """The upstream refused our credentials (HTTP 401 or 403)."""

    code = "upstream_auth"

    challenge: str | None = None
    """The `WWW-Authenticate` header that came with the refusal; it may name the authorization server."""


class NeedsAuth(UpstreamAuth):
    """The upstream wants a login of the caller's own, and there is none that it takes."""

    code = "needs_auth"


class UpstreamStartFailed(OperatorError):
    """The upstream's program could not be started, or ended before it answered."""

    code = "upstream_start_failed"


class UpstreamProtocolError(OperatorError):
    """The upstream sent something that is not the protocol."""

    code = "upstream_protocol_error"


class UpstreamMessageTooLarge(OperatorError):
    """The upstream sent a message above the cap."""

    code = "upstream_message_too_large"


class NotRunning(OperatorError):
    """No gateway of this configuration file is running."""

    code = "not_running"


class PortBusy(OperatorError):
    """Another program listens on the address."""

    code = "port_busy"


class CannotCreate(OperatorError):
    """A file of the gateway's own cannot be written."""

    code = "cannot_create"


class SandboxUnavailable(OperatorError):
    """No sandbox works here, so nothing is executed."""

    code = "sandbox_unavailable"


class SearchUnavailable(OperatorError):
    """There is no web search provider, or none of them answered."""

    code = "search_unavailable"


class ModelRefused(OperatorError):
    """The language model's service refused the request: its key, its model's name, or what was asked of it."""

    code = "model_refused"


class SecretKeyRefused(OperatorError):
    """No key that is here opens a stored secret, or the key must not be used as it is."""

    code = "secret_key_refused"


class SecretDamaged(OperatorError):
    """The file of stored secrets, or one of them, is not what was written."""

    code = "secret_damaged"


class PinsUnreadable(OperatorError):
    """The file of pinned definitions cannot be read; nothing is trusted until it can, or is removed."""

    code = "pins_unreadable"

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(
            f"the file of pinned definitions, pins/{file} in the state folder, cannot be read ({reason}); put a good "
            "copy in its place, or remove it to trust what is offered now"
        )


class InternalError(OperatorError):
    """A fault of the gateway itself."""


class RpcError(Exception):
    """A JSON-RPC error object, still encoded, to be passed on unchanged."""

    status: int | None = None
    """The HTTP status it came with, when that was not 200."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw.decode("utf-8", "replace"))
        self.raw = raw

    @classmethod
    def of(cls, code: int, message: str, data: Any = None) -> RpcError:
        body: dict[str, Any] = {"code": code, "message": message}
        if data is not None:
            body["data"] = data
        return cls(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())

    @property
    def error(self) -> dict[str, Any]:
        """The decoded error object; a malformed one becomes a -32603 that quotes nothing."""
        try:
            decoded = json.loads(self.raw)
        except (ValueError, RecursionError):
            decoded = None
        if not isinstance(decoded, dict) or type(decoded.get("code")) is not int:
            return {"code": INTERNAL_ERROR, "message": "the upstream sent a malformed error"}
        if not isinstance(decoded.get("message"), str):
            decoded["message"] = ""
        return decoded

    @property
    def told(self) -> bytes:
        """What a client is sent: the bytes as they came, or `error` encoded where they are no error object."""
        error = self.error
        try:
            return self.raw if json.loads(self.raw) == error else json.dumps(error, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return json.dumps(error).encode()


def to_rpc(error: GatewayError) -> dict[str, Any]:
    """The JSON-RPC error object for one of our errors: `{code, message, data: {code, server?, uri?}}`."""
    return {"code": CODES[error.code].rpc, "message": error.message, "data": _details(error)}


def to_tool_result(error: GatewayError) -> dict[str, Any]:
    """The `CallToolResult` a failing `tools/call` answers with, so that the model sees the reason."""
    mark = {"code": error.code, "server": error.server}
    return {
        "content": [{"type": "text", "text": error.message}],
        "isError": True,
        "_meta": {ERROR_META_KEY: mark},
    }


def to_http(error: GatewayError) -> tuple[int, dict[str, Any]]:
    """HTTP status and body `{error, timestamp, details}`; the timestamp is ISO-8601 in UTC."""
    return CODES[error.code].http, http_body(error.message, _details(error))


def _details(error: GatewayError) -> dict[str, str]:
    """What a program needs to know; `uri` is that of an unknown resource (2026-07-28, server/resources, errors)."""
    details = {"code": error.code}
    if error.server is not None:
        details["server"] = error.server
    if isinstance(error, UnknownName) and error.kind == "resource":
        details["uri"] = error.name
    return details


def http_body(message: str, details: dict[str, Any] | None) -> dict[str, Any]:
    """The one error body of every HTTP door."""
    return {"error": message, "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"), "details": details}


def exit_code(error: GatewayError) -> int:
    """The command line's exit status for one of our errors."""
    return CODES[error.code].exit
