"""The wire: strict about what comes in, exact about what goes on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.wire import (
    MAX_DEPTH,
    Malformed,
    Raw,
    decode,
    encode,
    error_reply,
    fields,
    has_lone_surrogate,
    loads,
    notification,
    reply,
    request,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_a_payload_comes_out_as_it_went_in(payload: Any) -> None:
    raw = json.dumps(payload).encode()

    assert bytes(decode(b'{"jsonrpc":"2.0","id":1,"result":%b}' % raw).result) == raw


@pytest.mark.parametrize("raw", [b"1.0", b"1e3", b"12345678901234567890123", b'"\\u00e9"', b'{"a": 1,  "b":null}'])
def test_a_payload_is_not_respelled(raw: bytes) -> None:
    envelope = decode(b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":%b}}' % raw)

    assert envelope.params is not None
    assert bytes(envelope.params["arguments"]) == raw


@pytest.mark.parametrize(
    ("message", "is_response", "is_notification"),
    [
        (b'{"id":1,"method":"ping"}', False, False),
        (b'{"method":"notifications/initialized"}', False, True),
        (b'{"id":1,"result":{}}', True, False),
        (b'{"id":null,"error":{"code":1,"message":""}}', True, False),
    ],
)
def test_a_message_is_a_request_a_notification_or_a_response(
    message: bytes, is_response: bool, is_notification: bool
) -> None:
    envelope = decode(message)

    assert (envelope.is_response, envelope.is_notification) == (is_response, is_notification)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b'{"id":1,"method":"\xff"}', "not UTF-8"),
        (b'{"id":1', "not valid JSON"),
        (b'{"id":1,"result":NaN}', "not valid JSON"),
        (b"[]", "not a JSON-RPC message"),
        (b'{"id":1.5,"method":"ping"}', "not a JSON-RPC message"),
        (b'{"id":1,"method":"m","params":[]}', "not a JSON-RPC message"),
        (b'{"id":1,"result":"\\ud800"}', "a lone surrogate in a string"),
        (b'{"id":1,"result":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", f"nested deeper than {MAX_DEPTH}"),
    ],
)
def test_a_malformed_message_is_refused_with_a_reason(message: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=f"^{reason}$"):
        decode(message)


def test_nesting_up_to_the_limit_is_accepted() -> None:
    nested = b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1)

    assert bytes(decode(b'{"id":1,"result":%b}' % nested).result) == nested


def test_brackets_inside_strings_and_side_by_side_are_not_depth() -> None:
    flat = b'{"id":1,"result":["%b",%b]}' % (b"[" * 200, b",".join([b"[]"] * 200))

    assert decode(flat).id == 1


@pytest.mark.parametrize(
    ("text", "lone"),
    [
        (rb'"\ud83d\ude00"', False),
        (rb'"\ud83d"', True),
        (rb'"\ude00"', True),
        (rb'"\\ud83d"', False),
        (rb'"\\\ud83d"', True),
        (rb'"\ud83d\ud83d\ude00"', True),
        (b'"plain"', False),
    ],
)
def test_a_lone_surrogate_is_told_from_a_pair_and_from_text(text: bytes, lone: bool) -> None:
    assert has_lone_surrogate(text) is lone


def test_fields_are_decoded_one_level_deep() -> None:
    assert {name: bytes(raw) for name, raw in fields(b'{"a":1.0,"b":{"c":[]}}').items()} == {
        "a": b"1.0",
        "b": b'{"c":[]}',
    }


@pytest.mark.parametrize("raw", [b"[]", b"{", b""])
def test_fields_of_something_else_are_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        fields(raw)


def test_loads_gives_plain_values() -> None:
    assert loads(Raw(b'{"a":[1,null]}')) == {"a": [1, None]}


def test_loads_refuses_what_is_not_json() -> None:
    with pytest.raises(Malformed):
        loads(b"{")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (request(1, "ping", None), b'{"jsonrpc":"2.0","id":1,"method":"ping"}'),
        (request("a", "m", {"x": Raw(b"1.0")}), b'{"jsonrpc":"2.0","id":"a","method":"m","params":{"x":1.0}}'),
        (notification("n", None), b'{"jsonrpc":"2.0","method":"n"}'),
        (notification("n", {}), b'{"jsonrpc":"2.0","method":"n","params":{}}'),
        (reply(7, Raw(b'{ "a":1.0 }')), b'{"jsonrpc":"2.0","id":7,"result":{ "a":1.0 }}'),
        (error_reply(None, b'{"code":1}'), b'{"jsonrpc":"2.0","id":null,"error":{"code":1}}'),
    ],
)
def test_a_message_of_ours_is_one_compact_line_around_raw_parts(message: bytes, expected: bytes) -> None:
    assert message == expected


def test_a_lone_surrogate_cannot_be_encoded() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode("\ud800")


def test_unterminated_strings_are_refused_in_linear_time() -> None:
    message = b"[" * 101 + b'"' + b'\\"' * 100_000
    began_s = time.process_time()
    with pytest.raises(Malformed):
        decode(message)
    assert time.process_time() - began_s < 0.5
