"""Lines out of chunks, wherever the chunks were cut."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.upstream.dispatch.framer import ENDLESS, LineFramer, Overlong

CAP = 100
LINE_PARTS = (
    b'{"id":',
    b"1",
    b'7,"result":{}',
    b"}",
    b"\n",
    b"\r\n",
    b" ",
    b"x" * 60,
    b"x" * 150,
    b"\xff",
    b'"',
    b"\r",
)


def framed(*chunks: bytes, cap: int = CAP) -> list[bytes | Overlong]:
    framer = LineFramer(cap)
    return [line for chunk in chunks for line in framer.feed(chunk)]


@given(st.lists(st.sampled_from(LINE_PARTS), max_size=30).map(b"".join), st.data())
def test_any_cut_gives_the_same_lines(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert framed(*chunks) == framed(stream)


def test_a_cut_at_every_position_gives_the_same_lines() -> None:
    stream = b'{"id":1}\n\r\n{"id":2}\r\n' + b'{"id":3,"result":"' + b"x" * 120 + b'"}\n   \n{"id":4}\n'
    whole = framed(stream)
    assert whole == [b'{"id":1}', b'{"id":2}', Overlong(3), b'{"id":4}']
    for cut in range(len(stream) + 1):
        assert framed(stream[:cut], stream[cut:]) == whole
    assert framed(*(bytes([byte]) for byte in stream)) == whole


def test_an_unfinished_line_is_held_back() -> None:
    assert framed(b'{"id"') == []


def test_a_line_of_exactly_the_cap_passes() -> None:
    assert framed(b"x" * CAP + b"\n") == [b"x" * CAP]
    assert framed(b"x" * (CAP + 1) + b"\n") == [Overlong(None)]


def test_an_id_at_the_front_is_reported_before_the_line_ends() -> None:
    assert framed(b'{"id":5,"result":"' + b"x" * CAP) == [Overlong(5)]


def test_an_id_at_the_end_is_reported_with_the_end() -> None:
    line = b'{"result":"' + b"x" * CAP
    assert framed(line) == []
    assert framed(line, b'","jsonrpc":"2.0","id":8}\n') == [Overlong(8)]


def test_an_endless_line_is_reported_once() -> None:
    assert framed(*[b"x" * CAP] * (3 * ENDLESS), b"\nafter\n") == [Overlong(None, endless=True), b"after"]


def test_an_overlong_request_of_the_upstream_is_nobodys_answer() -> None:
    line = b'{"method":"notifications/message","params":{"data":"' + b"x" * CAP + b'"},"id":3}\n'
    assert framed(line) == [Overlong(None)]


@pytest.mark.parametrize("chunk_bytes", [1000, 65536])
def test_a_long_line_costs_no_repeated_copying(chunk_bytes: int) -> None:
    size = 16 * 1024 * 1024
    chunks = [b"x" * chunk_bytes] * (size // chunk_bytes)
    began_s = time.process_time()
    (line,) = framed(*chunks, b"\n", cap=size)
    assert isinstance(line, bytes)
    assert len(line) == chunk_bytes * (size // chunk_bytes)
    assert time.process_time() - began_s < 1.0
