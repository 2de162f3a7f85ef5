"""Keys: equal only for requests that no upstream can tell apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.cache.key import canonical, digest
from mcp_gateway.wire import Raw, decode

ME = ("server", "tool")


def key(params: str, method: str = "tools/call") -> str | None:
    message = decode(b'{"jsonrpc":"2.0","id":1,"method":"x","params":%b}' % params.encode())
    assert message.params is not None
    return digest(ME, method, message.params)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"name":"t","arguments":{"a":1,"b":[2]}}', '{ "arguments": {"b":[ 2 ], "a":1 }, "name":"t" }'),
        ('{"name":"t"}', '{"name":"t","_meta":{"progressToken":7}}'),
        ('{"name":"t"}', '{"name":"t","_meta":{"io.modelcontextprotocol/clientInfo":{"name":"x"},"traceparent":"00"}}'),
        ('{"name":"exposed__t"}', '{"name":"t"}'),
    ],
)
def test_what_makes_no_difference_to_an_upstream_makes_none_here(one: str, other: str) -> None:
    assert key(one) == key(other) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"arguments":{"a":1}}', '{"arguments":{"a":1.0}}'),
        ('{"arguments":{"a":1}}', '{"arguments":{"a":"1"}}'),
        ('{"arguments":{"a":1e400}}', '{"arguments":{"a":1e401}}'),
        ('{"arguments":{"a":0.1}}', '{"arguments":{"a":0.1000000000000000055}}'),
        ('{"arguments":{"a":18446744073709551616}}', '{"arguments":{"a":18446744073709551617}}'),
        ('{"arguments":{"a":1,"a":2}}', '{"arguments":{"a":2}}'),
        ('{"arguments":{"x":[{"a":1,"a":2}]}}', '{"arguments":{"x":[{"a":2}]}}'),
        ('{"arguments":{"a\\u0022":1,"a\\u0022":2}}', '{"arguments":{"a\\u0022":2}}'),
        ('{"arguments":{"x":1}}', '{"_meta":{"x":1}}'),
        ('{"arguments":{}}', '{"_meta":{"tenant":"a"},"arguments":{}}'),
        ('{"arguments":{"a":null}}', '{"arguments":{}}'),
        ('{"arguments":[1,2]}', '{"arguments":[2,1]}'),
    ],
)
def test_what_an_upstream_could_tell_apart_has_two_keys(one: str, other: str) -> None:
    assert key(one) != key(other)


@pytest.mark.parametrize(
    "params", ['{"name":"t","task":{"ttl":1}}', '{"requestState":"x"}', '{"inputResponses":{}}', '{"_meta":[1]}']
)
def test_a_request_with_params_nobody_foresaw_has_no_key(params: str) -> None:
    assert key(params) is None


def test_a_method_whose_answers_are_not_kept_knows_no_subject() -> None:
    assert key('{"uri":"a:b"}', "resources/read") is not None
    assert key('{"uri":"a:b"}', "tools/call") is None


def test_identity_and_method_are_part_of_the_key() -> None:
    keys = {
        digest((a, b), method, {}) for a in ("x", "xy") for b in ("y", "") for method in ("tools/call", "prompts/get")
    }
    assert len(keys) == 8


def test_plain_values_have_the_key_of_their_encoded_selves() -> None:
    assert digest(ME, "tools/call", {"arguments": {"b": 1, "a": "x"}}) == key('{"arguments":{"a":"x","b":1}}')


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=10,
)


@given(json_values, json_values)
def test_equal_canonical_texts_mean_equal_values(one: Any, other: Any) -> None:
    texts = [canonical(Raw(json.dumps(value, ensure_ascii=False).encode())) for value in (one, other)]
    if bytes(texts[0]) == bytes(texts[1]):
        assert json.loads(bytes(texts[0])) == one == other
