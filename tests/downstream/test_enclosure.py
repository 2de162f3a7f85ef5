"""Bytes that pass the SDK as one string come out as they went in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway.downstream.enclosure import Opening, closed, content, enclosed, error_of, mcp_error, opened
from mcp_gateway.errors import RpcError
from mcp_gateway.wire import fields
from mcp_types import ErrorData, JSONRPCError, JSONRPCNotification, JSONRPCResponse
from starlette.types import Message, Receive, Scope, Send

from tests.fakes.odd_server import ODD


def written(message: JSONRPCResponse | JSONRPCError | JSONRPCNotification) -> bytes:
    """As the SDK writes it."""
    return message.model_dump_json(by_alias=True, exclude_unset=True).encode()


def test_a_result() -> None:
    message = written(JSONRPCResponse(jsonrpc="2.0", id=1, result=enclosed(ODD)))

    assert opened(message) == b'{"jsonrpc":"2.0","id":1,"result":%b}' % ODD


def test_params() -> None:
    message = written(JSONRPCNotification(jsonrpc="2.0", method="x", params=enclosed(ODD)))

    assert opened(message) == b'{"jsonrpc":"2.0","method":"x","params":%b}' % ODD


def test_an_error() -> None:
    raw = b'{ "code":-5, "message":"caf\\u00e9", "data":%b }' % ODD
    error = mcp_error(RpcError(raw)).error
    message = written(JSONRPCError(jsonrpc="2.0", id=1, error=error))

    assert (error.code, error.message) == (-5, "café")
    assert opened(message) == b'{"jsonrpc":"2.0","id":1,"error":%b}' % raw


def test_an_error_that_is_none_is_made_one() -> None:
    message = written(JSONRPCError(jsonrpc="2.0", id=1, error=mcp_error(RpcError(b'"no"')).error))

    assert json.loads(opened(message))["error"] == {"code": -32603, "message": "the upstream sent a malformed error"}


def test_what_is_not_enclosed_is_not_touched() -> None:
    message = b'{"jsonrpc":"2.0","id":1,"result":{ "io.mcp-gateway/0011223344556677":"{}" }}'

    assert opened(message) is message


def test_a_line_stays_one_line() -> None:
    message = written(JSONRPCResponse(jsonrpc="2.0", id=1, result=enclosed(b'{\r\n  "text": "a\\nb"\n}')))

    assert opened(message) == b'{"jsonrpc":"2.0","id":1,"result":{    "text": "a\\nb" }}'


def test_an_answer_is_enclosed_for_whoever_asked() -> None:
    answer = json.loads(closed(b'{"jsonrpc":"2.0","id":1,"result":%b}' % ODD))

    assert bytes(content(answer["result"])) == ODD


def test_a_refusal_is_enclosed_for_whoever_asked() -> None:
    raw = b'{"code":-1,"message":"declined","data":%b}' % ODD
    refusal = json.loads(closed(b'{"jsonrpc":"2.0","id":1,"error":%b}' % raw))["error"]

    assert error_of(MCPError.from_error_data(ErrorData.model_validate(refusal))).raw == raw


@pytest.mark.parametrize("result", [b'{"a":1.0}', b'{"text":"' + b"x" * 100_000 + b'"}'])
async def test_the_length_of_a_body_is_that_of_what_was_enclosed(result: bytes) -> None:
    body = written(JSONRPCResponse(jsonrpc="2.0", id=1, result=enclosed(result)))
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    async def nothing() -> Message:
        raise AssertionError("nothing is read")

    async def send(message: Message) -> None:
        sent.append(message)

    await Opening(app)({"type": "http"}, nothing, send)

    start, response = sent
    assert bytes(fields(response["body"])["result"]) == result
    assert dict[bytes, Any](start["headers"])[b"content-length"] == str(len(response["body"])).encode()
