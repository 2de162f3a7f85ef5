"""What an answer amounts to."""

from __future__ import annotations

import pytest
from mcp_gateway.errors import RpcError, UpstreamProtocolError
from mcp_gateway.upstream.dispatch.answers import outcome_of
from mcp_gateway.wire import Raw, decode


@pytest.mark.parametrize("members", [b'"result":{"a":1}', b'"result":{"a":1},"error":null', b'"result": {"a":1} '])
def test_a_result_object_is_the_outcome(members: bytes) -> None:
    outcome = outcome_of("x", decode(b'{"id":1,%b}' % members))
    assert isinstance(outcome, Raw)
    assert bytes(outcome) == b'{"a":1}'


@pytest.mark.parametrize("members", [b'"error":{"code":1}', b'"error":{"code":1},"result":null'])
def test_an_error_object_is_the_outcome(members: bytes) -> None:
    outcome = outcome_of("x", decode(b'{"id":1,%b}' % members))
    assert isinstance(outcome, RpcError)
    assert outcome.raw == b'{"code":1}'


@pytest.mark.parametrize(
    "members",
    [
        b'"x":1',
        b'"result":null',
        b'"error":null',
        b'"result":[]',
        b'"result":"nullify"',
        b'"error":"text"',
        b'"error":[]',
        b'"result":{},"error":{}',
        b'"result":{},"error":"text"',
        b'"result":1,"error":{}',
    ],
)
def test_anything_else_is_a_protocol_error(members: bytes) -> None:
    outcome = outcome_of("x", decode(b'{"id":1,%b}' % members))
    assert isinstance(outcome, UpstreamProtocolError)
    assert outcome.server == "x"
