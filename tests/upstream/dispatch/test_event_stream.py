"""The decoder of server-sent events: the standard's rules, any chunking, caps."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.upstream.dispatch.event_stream import EventStream, EventTooLarge, ServerSentEvent


def decoded(stream: bytes, cap: int = 1000) -> list[ServerSentEvent]:
    return EventStream(cap).feed(stream)


def message(data: bytes) -> ServerSentEvent:
    return ServerSentEvent("message", data)


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [message(b"a")]),
        (b"data:a\n\n", [message(b"a")]),
        (b"data:  a\n\n", [message(b" a")]),
        (b"data: a\r\n\r\n", [message(b"a")]),
        (b"data: a\r\r", [message(b"a")]),
        (b"data: a\rdata: b\n\r\n", [message(b"a\nb")]),
        (b"data: a\ndata: b\n\n", [message(b"a\nb")]),
        (b"data\n\n", [message(b"")]),
        (b"data\ndata\n\n", [message(b"\n")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [ServerSentEvent("x", b"a"), message(b"b")]),
        (b": comment\n\ndata: a\n\n", [message(b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [message(b"a")]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [message(b"a")]),
        (b"event: x\n\ndata: a\n\n", [message(b"a")]),
        (b"unknown: x\ndata: a\n\n", [message(b"a")]),
        (b"data: a\n", []),
        (b"data: a", []),
        (b"", []),
    ],
)
def test_a_stream_decodes_by_the_rules_of_the_standard(stream: bytes, events: list[ServerSentEvent]) -> None:
    assert decoded(stream) == events


def test_the_last_id_is_kept_from_event_to_event() -> None:
    stream = EventStream(1000)
    stream.feed(b"id: 7\ndata: a\n\ndata: b\n\n")
    assert stream.last_event_id == "7"


def test_an_id_counts_only_once_its_event_is_complete() -> None:
    stream = EventStream(1000)
    stream.feed(b"id: 7\ndata: a\n\nid: 8\ndata: b\n")
    assert stream.last_event_id == "7"


def test_an_id_with_nul_is_ignored() -> None:
    stream = EventStream(1000)
    stream.feed(b"id: 7\x00\ndata: a\n\n")
    assert stream.last_event_id == ""


@pytest.mark.parametrize(("field", "retry_ms"), [(b"500", 500), (b"-1", None), (b"1.5", None), (b"9" * 30, None)])
def test_only_a_whole_number_is_a_retry_time(field: bytes, retry_ms: int | None) -> None:
    stream = EventStream(1000)
    stream.feed(b"retry: " + field + b"\n\n")
    assert stream.retry_ms == retry_ms


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 100, b"data: xxxxxxxxxx\n" * 10, b":" * 100, b"event: y\n" * 9])
def test_an_event_above_the_cap_is_refused(stream: bytes) -> None:
    with pytest.raises(EventTooLarge):
        decoded(stream, cap=50)


def test_comments_never_add_up_to_the_cap() -> None:
    assert decoded(b": still here\n" * 100 + b"data: a\n\n", cap=50) == [message(b"a")]


def test_many_events_never_add_up_to_the_cap() -> None:
    assert len(decoded(b"data: a\n\n" * 100, cap=50)) == 100


LINES = st.sampled_from(
    [b"data: a", b"data", b"data:b", b"event: x", b"id: 1", b"retry: 9", b": c", b"", b"\xef\xbb\xbfdata: z", b"junk"]
)
ENDS = st.sampled_from([b"\n", b"\r", b"\r\n"])


@given(st.lists(st.tuples(LINES, ENDS), max_size=30), st.lists(st.integers(0, 200), max_size=12))
def test_where_the_chunks_are_cut_makes_no_difference(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    stream = b"".join(line + end for line, end in lines)
    whole = EventStream(10_000)
    expected = whole.feed(stream)
    pieces = EventStream(10_000)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    got = [event for start, end in pairwise(edges) for event in pieces.feed(stream[start:end])]
    assert got == expected
    assert (pieces.last_event_id, pieces.retry_ms) == (whole.last_event_id, whole.retry_ms)
