"""Frames of clients: what they become, whatever text comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mcp_gateway.downstream.frames import BadFrame, Cancel, Frame, Listen, Run, data_frame, read_frame, result_frame
from mcp_gateway.llm.confirmation import CONFIRM_KEY
from mcp_gateway.wire import Raw, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.sampled_from(["id", "type", "tool", "arguments", "timeout_s", "topics", "question", "confirm"])
TYPES = st.sampled_from(["call", "ask", "cancel", "subscribe", "unsubscribe"])
FRAMES = st.dictionaries(NAMES, JSON | TYPES, max_size=5).map(json.dumps)


def test_arguments_of_a_call_keep_their_spelling() -> None:
    frame = read_frame('{"id":1,"type":"call","tool":"t","arguments":{ "n":1.0, "big":123456789012345678901 }}')

    assert isinstance(frame, Run)
    assert encode(frame.params) == b'{"name":"t","arguments":{ "n":1.0, "big":123456789012345678901 }}'


def test_a_call_without_arguments_has_empty_ones() -> None:
    assert read_frame('{"id":1,"type":"call","tool":"t"}') == Run(1, {"name": "t", "arguments": Raw(b"{}")})


def test_what_an_ask_frame_holds_besides_goes_to_the_tool() -> None:
    frame = read_frame('{"id":"a","type":"ask","question":"?","tools":["up__*"],"timeout_s":5}')

    assert isinstance(frame, Run)
    assert (frame.is_ask, frame.deadline_s, frame.params["name"]) == (True, 5, "ask")
    assert json.loads(encode(frame.params["arguments"])) == {"question": "?", "tools": ["up__*"]}
    assert "_meta" not in frame.params


def test_confirming_ahead_is_not_an_argument() -> None:
    frame = read_frame('{"id":1,"type":"ask","question":"?","confirm":"auto"}')

    assert isinstance(frame, Run)
    assert frame.params["_meta"] == {CONFIRM_KEY: "auto"}
    assert json.loads(encode(frame.params["arguments"])) == {"question": "?"}


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ('{"id":1,"type":"cancel"}', Cancel(1)),
        ('{"id":"s","type":"subscribe","topics":["servers"]}', Listen("s", ("servers",), True)),
        ('{"id":"s","type":"unsubscribe","topics":["servers"]}', Listen("s", ("servers",), False)),
    ],
)
def test_the_other_frames(text: str, frame: Any) -> None:
    assert read_frame(text) == frame


@given(st.text() | FRAMES)
def test_any_text_is_a_frame_or_a_bad_one_with_an_id_that_was_sent(text: str) -> None:
    frame: Frame | BadFrame
    try:
        frame = read_frame(text)
    except BadFrame as bad:
        frame = bad

    assert frame.id is None or json.loads(text)["id"] == frame.id
    assert isinstance(frame, BadFrame) or frame.id is not None


def test_a_result_is_copied_as_it_came() -> None:
    assert result_frame("é", b'{ "n":1.0 }') == '{"id":"é","type":"result","result":{ "n":1.0 }}'


def test_half_a_surrogate_is_no_text_of_a_frame() -> None:
    assert json.loads(data_frame(1, "delta", {"text": "a\ud800b", "é": 1}))["data"] == {"text": "a?b", "é": 1}
