"""What counts as one message, and what is answered to everything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.downstream.intake import PARSE_ERROR, Refused, read_message, too_large
from mcp_gateway.errors import INVALID_REQUEST
from mcp_types import JSONRPCNotification, JSONRPCRequest, JSONRPCResponse


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', JSONRPCRequest),
        (b'{"jsonrpc":"2.0","id":"a","method":"ping","params":{"x":[1.0,null]}}', JSONRPCRequest),
        (b'{"jsonrpc":"2.0","method":"notifications/initialized"}', JSONRPCNotification),
        (b'{"jsonrpc":"2.0","id":1,"result":{}}', JSONRPCResponse),
    ],
)
def test_a_message_is_let_in(raw: bytes, kind: type[Any]) -> None:
    assert isinstance(read_message(raw), kind)


def refusal(raw: bytes) -> dict[str, Any]:
    with pytest.raises(Refused) as refused:
        read_message(raw)
    reply: dict[str, Any] = json.loads(refused.value.reply)
    return reply


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"\x00",
        b'{"jsonrpc":"2.0"',
        b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
        '{"jsonrpc":"2.0","id":1,"method":"ping"}'.encode("utf-16"),
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":NaN}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"n":1e999}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"s":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"d":' + b"[" * 200 + b"]" * 200 + b"}}",
        b"[" * 100_000,
    ],
)
def test_bytes_that_are_not_json_are_a_parse_error(raw: bytes) -> None:
    reply = refusal(raw)

    assert reply["error"]["code"] == PARSE_ERROR
    assert reply["id"] is None


@pytest.mark.parametrize(
    ("raw", "id"),
    [
        (b"[]", None),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', None),
        (b"null", None),
        (b'"ping"', None),
        (b"{}", None),
        (b'{"jsonrpc":"1.0","id":3,"method":"ping"}', 3),
        (b'{"id":"a","method":"ping"}', "a"),
        (b'{"jsonrpc":"2.0","id":4,"method":5}', 4),
        (b'{"jsonrpc":"2.0","id":5,"method":"x","params":[1]}', 5),
        (b'{"jsonrpc":"2.0","id":true,"method":5}', None),
        (b'{"jsonrpc":"2.0","id":{},"method":5}', None),
        (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', None),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', None),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', None),
    ],
)
def test_json_that_is_no_message_is_an_invalid_request_with_its_id(raw: bytes, id: object) -> None:
    reply = refusal(raw)

    assert reply["error"]["code"] == INVALID_REQUEST
    assert reply["id"] == id


def test_a_batch_is_told_what_to_do() -> None:
    assert "one message at a time" in refusal(b"[]")["error"]["message"]


def test_a_message_that_is_too_large_is_told_the_limit() -> None:
    assert b"1024 bytes" in too_large(1024).reply


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(raw: bytes) -> None:
    assert refusal(raw)["error"]["code"] in (PARSE_ERROR, INVALID_REQUEST)
