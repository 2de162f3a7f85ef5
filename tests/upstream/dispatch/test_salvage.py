"""The id of an answer that cannot be decoded."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.upstream.dispatch.salvage import HEAD_BYTES, salvage_id


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","id":7,"result":{"a":NaN}}',
        b'{ "jsonrpc" : "2.0" , "id" : "7" , "result" : {',
        b'{"result":{"id":1,"x":[{"id":2}]},"id":7,"oops',
        b'{"result":"' + b"x" * 2 * HEAD_BYTES + b'","jsonrpc":"2.0","id":7}',
        b'{"result":"' + b"x" * 2 * HEAD_BYTES + b'","id":7,"jsonrpc":"2.0"}\r',
        b'[{"id":7,"result":{}}]',
        b'{"id":7,"result":{"text":"\\"id\\":9, \\"method\\":"',
        b'{"id":7,\xff\xfe',
    ],
)
def test_an_id_at_the_top_is_found(line: bytes) -> None:
    assert salvage_id(line) == 7


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"Listening on stdio, id: 7",
        b'{"result":{"id":7}}',
        b'{"result":{"text":"\\"id\\":7"}}',
        b'{"id":7,"method":"ping","params":{"a":NaN}}',
        b'{"method":"ping","params":{"a":NaN},"id":7}',
        b'{"id":7.5,"result":NaN}',
        b'{"id":null,"result":NaN}',
        b'{"id":7777777777777777777777777,"result":NaN}',
        b'{"id":-7,"result":NaN}',
        b'["id":7]',
    ],
)
def test_what_is_no_answer_of_ours_has_no_id(line: bytes) -> None:
    assert salvage_id(line) is None


@given(st.binary(max_size=6000))
def test_no_bytes_make_it_raise(line: bytes) -> None:
    found = salvage_id(line)
    assert found is None or found >= 0


@pytest.mark.parametrize("pump", [b'"', b"\\", b'"\\', b"[", b'{"id":', b",", b" ", b'"id":1,', b"1"])
def test_no_repetition_makes_it_slow(pump: bytes) -> None:
    line = pump * (100_000 // len(pump))
    began_s = time.process_time()
    salvage_id(line)
    assert time.process_time() - began_s < 0.05
