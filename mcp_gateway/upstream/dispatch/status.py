"""What an HTTP status other than success means for the caller.

A finished exchange enters, the error to raise leaves. Bodies are read only for a
JSON-RPC error; nothing else an upstream wrote gets into a message.
"""

from __future__ import annotations

import math
import time
from email.utils import parsedate_to_datetime

from mcp_gateway.errors import (
    GatewayError,
    RpcError,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.dispatch.exchange import Exchange
from mcp_gateway.upstream.oauth.advice import to_log_in
from mcp_gateway.upstream.oauth.challenge import bearer
from mcp_gateway.wire import Malformed, decode

MAX_RETRY_AFTER_S = 60.0
"""A longer wish is cut to this: an upstream must not park itself for good by one header (our choice)."""


def refusal(server: str, exchange: Exchange, id: int | None = None) -> GatewayError | RpcError:
    """The error for an answer whose status is not 2xx; `id` is the request's, None for anything but a call.

    1. 401, 403, 407: credentials. 2. 429 and 503: later, perhaps at a told time.
    3. A JSON-RPC error for our request: passed on, whatever the status (2026-07-28
    answers 400 and 404 with them). 4. Other 5xx: an outage. 5. Everything else: not the protocol.
    """
    status = exchange.status
    if status in (401, 403, 407):
        return _auth(server, exchange)
    if status in (429, 503):
        return _later(server, exchange)
    rpc = None if id is None else _rpc_error(exchange, id)
    if rpc is not None:
        return rpc
    error: GatewayError
    if status >= 500:
        error = UpstreamUnavailable(f"upstream {server!r} answered with HTTP {status}", server=server)
    else:
        error = UpstreamProtocolError(f"upstream {server!r} answered with HTTP {status}", server=server)
    error.status = status
    return error


def _auth(server: str, exchange: Exchange) -> UpstreamAuth:
    who = f"the proxy of upstream {server!r}" if exchange.status == 407 else f"upstream {server!r}"
    hint = ""
    if exchange.status == 401 and "resource_metadata" in bearer(exchange.challenge):
        hint = f"; it takes logins: write `auth: oauth` in its entry, then run: {to_log_in(server)}"
    error = UpstreamAuth(f"{who} refused our credentials (HTTP {exchange.status}){hint}", server=server)
    error.status = exchange.status
    error.challenge = exchange.challenge
    return error


def _later(server: str, exchange: Exchange) -> GatewayError:
    after_s = retry_after_s(exchange.headers.get(b"retry-after", b"").decode("latin-1"))
    hint = "" if after_s is None else f"; it asks to wait {after_s:.0f} s"
    error: GatewayError
    if exchange.status == 429:
        error = UpstreamBusy(f"upstream {server!r} takes no more calls for now (HTTP 429){hint}", server=server)
    else:
        error = UpstreamUnavailable(f"upstream {server!r} is out of service (HTTP 503){hint}", server=server)
    error.status = exchange.status
    error.retry_after_s = after_s
    return error


def retry_after_s(value: str, *, now_s: float | None = None) -> float | None:
    """Seconds from now, within 0 and MAX_RETRY_AFTER_S; None when there is no such wish (RFC 9110, 10.2.3)."""
    try:
        wish_s = float(value)
    except ValueError:
        try:
            wish_s = parsedate_to_datetime(value).timestamp() - (time.time() if now_s is None else now_s)
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(wish_s):
        return None
    return min(max(wish_s, 0.0), MAX_RETRY_AFTER_S)


def _rpc_error(exchange: Exchange, id: int) -> RpcError | None:
    if exchange.content_type != "application/json":
        return None
    try:
        message = decode(exchange.body)
    except Malformed:
        return None
    if not message.is_response or not bytes(message.error).startswith(b"{") or message.id not in (id, None):
        return None
    error = RpcError(bytes(message.error))
    error.status = exchange.status
    return error
