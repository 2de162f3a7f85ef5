"""Every error has a stable code, and the same meaning on every wire."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from mcp_gateway.errors import (
    CODES,
    ERROR_META_KEY,
    INTERNAL_ERROR,
    BadConfig,
    GatewayError,
    RpcError,
    UnknownMethod,
    UnknownName,
    UpstreamTimeout,
    exit_code,
    http_body,
    to_http,
    to_rpc,
    to_tool_result,
)


def descendants(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


def test_every_class_has_a_code_of_the_table_and_every_code_a_class() -> None:
    ours = {kind for kind in descendants(GatewayError) if kind.__module__ == GatewayError.__module__}

    assert {kind.code for kind in ours} == CODES.keys()


def test_a_json_rpc_error_carries_the_code_and_the_server() -> None:
    error = UpstreamTimeout("no answer within 60 s", server="time")

    assert to_rpc(error) == {
        "code": INTERNAL_ERROR,
        "message": "no answer within 60 s",
        "data": {"code": "upstream_timeout", "server": "time"},
    }


def test_a_json_rpc_error_names_no_server_where_none_is_concerned() -> None:
    assert to_rpc(UnknownMethod("tools/paint")) == {
        "code": -32601,
        "message": "Method not found: tools/paint",
        "data": {"code": "unknown_method"},
    }


def test_an_unknown_resource_is_named_by_its_uri() -> None:
    error = UnknownName("resource", "test://gone")

    assert to_rpc(error)["data"] == to_http(error)[1]["details"] == {"code": "unknown_name", "uri": "test://gone"}


def test_a_failing_tool_call_shows_the_model_the_reason_and_programs_the_code() -> None:
    result = to_tool_result(UpstreamTimeout("no answer", server="time"))

    assert result == {
        "content": [{"type": "text", "text": "no answer"}],
        "isError": True,
        "_meta": {ERROR_META_KEY: {"code": "upstream_timeout", "server": "time"}},
    }


@pytest.mark.parametrize("server", ["time", None])
def test_an_http_answer_has_the_status_and_the_details_of_its_code(server: str | None) -> None:
    status, body = to_http(UpstreamTimeout("no answer", server=server))

    assert status == 504
    assert body["error"] == "no answer"
    assert body["details"] == {"code": "upstream_timeout"} | ({"server": server} if server else {})


def test_an_http_body_tells_the_time_in_utc() -> None:
    body = http_body("no such page", None)

    assert body.keys() == {"error", "timestamp", "details"}
    assert datetime.fromisoformat(body["timestamp"]).utcoffset() == timedelta(0)


def test_the_command_line_exits_with_the_status_of_the_code() -> None:
    assert exit_code(BadConfig("gateway.yaml:4:5: unknown key")) == 78


@pytest.mark.parametrize(
    ("nearest", "message"),
    [(None, "Unknown tool: tmie"), ("time", "Unknown tool: tmie; did you mean 'time'?")],
)
def test_an_unknown_name_offers_the_nearest(nearest: str | None, message: str) -> None:
    assert UnknownName("tool", "tmie", nearest=nearest).message == message


def test_an_upstreams_error_is_decoded_as_it_came() -> None:
    assert RpcError.of(-32000, "no", {"why": "é"}).error == {"code": -32000, "message": "no", "data": {"why": "é"}}


def test_an_upstreams_error_may_lack_data() -> None:
    assert RpcError.of(-32000, "no").raw == b'{"code":-32000,"message":"no"}'


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"code":true}', b'{"code":1.5}', b"[" * 100_000])
def test_a_malformed_error_of_an_upstream_quotes_nothing(raw: bytes) -> None:
    assert RpcError(raw).error == {"code": INTERNAL_ERROR, "message": "the upstream sent a malformed error"}


def test_an_upstreams_error_without_a_message_gets_an_empty_one() -> None:
    assert RpcError(b'{"code":-32000,"message":null}').error == {"code": -32000, "message": ""}
