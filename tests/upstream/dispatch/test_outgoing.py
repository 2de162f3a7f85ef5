"""Lines are encoded, and refused, before the pipe is touched."""

from __future__ import annotations

from typing import Any

import pytest
from mcp_gateway.errors import InvalidParams
from mcp_gateway.upstream.dispatch.outgoing import line, notification_line, request_line
from mcp_gateway.wire import Raw


def test_a_request_is_one_line() -> None:
    assert request_line(1, "ping", None, wants_progress=False) == b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'


def test_the_id_is_the_progress_token_of_a_request_without_params() -> None:
    sent = request_line(1, "m", None, wants_progress=True)
    assert sent == b'{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":1}}}\n'


@pytest.mark.parametrize("meta", [Raw(b'{"v": 1.50,"t":[ 1]}'), {"v": Raw(b"1.50"), "t": Raw(b"[ 1]")}])
def test_other_meta_members_keep_their_bytes(meta: Any) -> None:
    sent = request_line(4, "m", {"_meta": meta}, wants_progress=True)
    assert b'"_meta":{"v":1.50,"t":[ 1],"progressToken":4}' in sent


@pytest.mark.parametrize("wants_progress", [True, False])
def test_a_token_of_the_callers_is_not_sent(wants_progress: bool) -> None:
    sent = request_line(4, "m", {"_meta": Raw(b'{"progressToken":99}')}, wants_progress=wants_progress)
    assert b"99" not in sent


def test_params_are_not_changed() -> None:
    params: dict[str, Any] = {"_meta": {"progressToken": "theirs"}}
    request_line(4, "m", params, wants_progress=True)
    assert params == {"_meta": {"progressToken": "theirs"}}


@pytest.mark.parametrize("meta", [Raw(b"[1]"), Raw(b'"text"'), 5, "text"])
def test_a_meta_that_is_no_object_is_refused(meta: Any) -> None:
    with pytest.raises(InvalidParams, match="_meta"):
        request_line(4, "m", {"_meta": meta}, wants_progress=True)


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["\ud800", {"\ud800": 1}, float("nan"), (1.0, float("-inf")), deep(150), deep(100_000), Raw(b'"\\udc00"')],
    ids=["surrogate", "surrogate key", "nan", "infinity", "deep", "very deep", "raw surrogate"],
)
def test_what_is_not_json_is_refused(value: Any) -> None:
    with pytest.raises(InvalidParams):
        request_line(1, "m", {"a": value}, wants_progress=False)
    with pytest.raises(InvalidParams):
        notification_line("m", {"a": value})


def test_line_breaks_between_tokens_become_blanks() -> None:
    assert line(b'{"a":\r\n[1,\n2]}') == b'{"a":  [1, 2]}\n'
