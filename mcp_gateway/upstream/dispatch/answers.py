"""What an answer amounts to. A decoded response enters, an outcome leaves; nothing is waited for."""

from __future__ import annotations

from mcp_gateway.errors import RpcError, UpstreamProtocolError
from mcp_gateway.upstream.dispatch.pending import Outcome
from mcp_gateway.wire import Envelope, Raw


def outcome_of(server: str, response: Envelope) -> Outcome:
    """A result that is an object, or an error that is one, and never both; null counts as absent."""
    result, error = _Member(response.result), _Member(response.error)
    if result.is_object and error.is_absent:
        return response.result
    if error.is_object and result.is_absent:
        return RpcError(bytes(response.error))
    return broken(server, "neither one result object nor one error object")


def broken(server: str, reason: str) -> UpstreamProtocolError:
    """The outcome of a call whose answer cannot be used."""
    return UpstreamProtocolError(f"upstream {server!r} sent a broken answer: {reason}", server=server)


class _Member:
    """How a raw member begins, without a copy of it."""

    def __init__(self, raw: Raw) -> None:
        start = bytes(memoryview(raw)[:4])
        self.is_absent = start in (b"", b"null")
        self.is_object = start[:1] == b"{"
