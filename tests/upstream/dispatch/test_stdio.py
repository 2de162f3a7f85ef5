"""Calls over a pipe: correlation, cancellation, and faults that cost one call at most."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest
from mcp_gateway.errors import (
    GatewayError,
    InvalidParams,
    RpcError,
    UpstreamDisconnected,
    UpstreamMessageTooLarge,
    UpstreamProtocolError,
)
from mcp_gateway.upstream.dispatch.base import Dispatcher
from mcp_gateway.wire import Raw

from tests.upstream.dispatch.pipes import Remembering, answers, ask, child, received

SMALL_CAP = 64 * 1024


async def raised_by(dispatcher: Dispatcher, method: str, params: dict[str, Any] | None = None) -> Exception:
    with anyio.fail_after(5), pytest.raises((GatewayError, RpcError)) as caught:
        await dispatcher.call(method, params)
    return caught.value


async def test_a_result_arrives_as_the_bytes_that_were_sent() -> None:
    async with child() as dispatcher:
        sent = '{"id":ID,"jsonrpc":"2.0","result":{"n": null, "f":1.0,"n":2}}'
        assert bytes(await dispatcher.call("raw_line", {"line": sent})) == b'{"n": null, "f":1.0,"n":2}'


async def test_an_upstreams_error_is_passed_on_unchanged() -> None:
    async with child() as dispatcher:
        error = '{"code":-32042,"message":"go there","data":{"url":"x"}}'
        failure = await raised_by(dispatcher, "raw_line", {"line": f'{{"id":ID,"jsonrpc":"2.0","error":{error}}}'})
        assert isinstance(failure, RpcError)
        assert failure.raw == error.encode()


async def test_params_reach_the_child_as_they_are() -> None:
    async with child() as dispatcher:
        assert await ask(dispatcher, "echo", {"a": Raw(b'{"b": [1.50]}'), "c": "é"}) == {
            "echo": {"a": {"b": [1.5]}, "c": "é"}
        }


async def test_a_call_without_params_sends_none() -> None:
    async with child() as dispatcher:
        assert "params" not in (await received(dispatcher))[0]


async def test_a_thousand_calls_at_once_each_get_their_own_answer() -> None:
    got: dict[int, Any] = {}
    async with child() as dispatcher:

        async def one(number: int) -> None:
            got[number] = (await ask(dispatcher, "echo", {"n": number, "pad": "x" * 500}))["echo"]["n"]

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for number in range(1000):
                    group.start_soon(one, number)
        assert got == {number: number for number in range(1000)}
        assert dispatcher.faults == {}


async def test_line_breaks_in_raw_params_cannot_smuggle_a_message() -> None:
    smuggled = b'[\n{"jsonrpc":"2.0","id":99,"method":"die"}\r\n]'
    async with child() as dispatcher:
        assert await ask(dispatcher, "echo", {"a": Raw(smuggled)}) == {"echo": {"a": json.loads(smuggled)}}


@pytest.mark.parametrize("value", ["\ud800", float("nan"), [float("inf")], {"k": "\udfff"}, Raw(b'"\\ud800"')])
async def test_params_that_are_not_json_are_the_callers_mistake(value: object) -> None:
    async with child() as dispatcher:
        assert isinstance(await raised_by(dispatcher, "echo", {"a": value}), InvalidParams)
        assert len(await received(dispatcher)) == 1


# Cancelling.


async def test_a_cancelled_call_tells_the_upstream_and_disturbs_no_other() -> None:
    async with child() as dispatcher:
        with anyio.move_on_after(0.05):
            await dispatcher.call("never", {})
        first, second, _ = await received(dispatcher)
        assert second == {
            "jsonrpc": "2.0",
            "method": "notifications/cancelled",
            "params": {"requestId": first["id"]},
        }
        assert await answers(dispatcher)


async def test_initialize_is_never_cancelled() -> None:
    async with child("not_reading") as dispatcher:
        with anyio.move_on_after(0.05):
            await dispatcher.call("initialize", {})
        assert dispatcher.failure is None
    async with child() as dispatcher:
        async with anyio.create_task_group() as group:
            group.start_soon(dispatcher.call, "initialize", {})
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert [message["method"] for message in await received(dispatcher)] == ["initialize", "received"]


async def test_the_late_answer_of_a_cancelled_call_is_dropped_and_counted() -> None:
    async with child() as dispatcher:
        async with anyio.create_task_group() as group:
            group.start_soon(dispatcher.call, "echo", {})
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()
        assert await answers(dispatcher)
        assert dispatcher.faults == {"late_answer": 1}


# Lines that are not the protocol.


async def test_banner_lines_before_the_first_answer_are_counted_and_skipped() -> None:
    async with child("banner") as dispatcher:
        assert await answers(dispatcher)
        assert dispatcher.faults == {"bad_line": 3}


BROKEN_ANSWERS = {
    "invalid UTF-8": '{"jsonrpc":"2.0","id":ID,"result":{"text":"\xff\xfe"}}',
    "invalid UTF-8, id last": '{"result":{"text":"\xff\xfe"},"jsonrpc":"2.0","id":ID}',
    "NaN": '{"jsonrpc":"2.0","id":ID,"result":{"n":NaN}}',
    "lone surrogate": '{"jsonrpc":"2.0","id":ID,"result":{"text":"\\ud800"}}',
    "very deep": '{"jsonrpc":"2.0","id":ID,"result":{"a":' + "[" * 5000 + "]" * 5000 + "}}",
    "half an answer": '{"jsonrpc":"2.0","id":ID,"result":{"content":[{"type":"te',
    "error is a string": '{"jsonrpc":"2.0","id":ID,"error":"it broke"}',
    "result and error": '{"jsonrpc":"2.0","id":ID,"result":{},"error":{"code":1,"message":"m"}}',
    "neither": '{"jsonrpc":"2.0","id":ID}',
    "null result": '{"jsonrpc":"2.0","id":ID,"result":null}',
    "result is a list": '{"jsonrpc":"2.0","id":ID,"result":[1]}',
    "in an array": '[{"jsonrpc":"2.0","id":ID,"result":{}}]',
    "id is a float": '{"jsonrpc":"2.0","result":1e999,"id":ID,"id":ID.5}',
    "raw control characters": '{"jsonrpc":"2.0","id":ID,"result":{"text":"\x1b[31m\x00"}}',
}


@pytest.mark.parametrize("sent", BROKEN_ANSWERS.values(), ids=BROKEN_ANSWERS)
async def test_a_broken_answer_fails_its_call_at_once_and_ends_nothing_else(sent: str) -> None:
    async with child() as dispatcher:
        failure = await raised_by(dispatcher, "raw_line", {"line": sent})
        assert isinstance(failure, UpstreamProtocolError)
        assert sum(dispatcher.faults.values()) == 1
        assert await answers(dispatcher)


SURVIVABLE = {
    "id as a string": ('{"jsonrpc":"2.0","id":"ID","result":{"ok":1}}', {"string_id": 1}),
    "null error": ('{"jsonrpc":"2.0","id":ID,"error":null,"result":{"ok":1}}', {}),
    "carriage return": ('{"jsonrpc":"2.0","id":ID,"result":{"ok":1}}\r', {}),
    "garbage before": ('nonsense\n{"jsonrpc":"2.0","id":ID,"result":{"ok":1}}', {"bad_line": 1}),
    "an answer to nobody before": (
        '{"jsonrpc":"2.0","id":12345,"result":{}}\n{"jsonrpc":"2.0","id":ID,"result":{"ok":1}}',
        {"unknown_id": 1},
    ),
    "an answer without an id before": (
        '{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}\n{"jsonrpc":"2.0","id":ID,"result":{"ok":1}}',
        {"unknown_id": 1},
    ),
}


@pytest.mark.parametrize(("sent", "faults"), SURVIVABLE.values(), ids=SURVIVABLE)
async def test_an_odd_answer_that_can_be_understood_is_taken(sent: str, faults: dict[str, int]) -> None:
    async with child() as dispatcher:
        with anyio.fail_after(5):
            assert await ask(dispatcher, "raw_line", {"line": sent}) == {"ok": 1}
        assert dispatcher.faults == faults


async def test_a_second_answer_is_dropped_and_counted() -> None:
    async with child() as dispatcher:
        assert await ask(dispatcher, "twice") == {"n": 1}
        assert await answers(dispatcher)
        assert dispatcher.faults == {"late_answer": 1}


async def test_a_broken_request_of_the_upstream_with_one_of_our_ids_fails_no_call() -> None:
    sent = '{"jsonrpc":"2.0","id":ID,"method":"ping","params":{"a":NaN}}\n{"jsonrpc":"2.0","id":ID,"result":{"ok":1}}'
    async with child() as dispatcher:
        assert await ask(dispatcher, "raw_line", {"line": sent}) == {"ok": 1}
        assert dispatcher.faults == {"bad_line": 1}


# Lines above the cap.


@pytest.mark.parametrize("method", ["huge", "huge_with_id_last"])
async def test_an_answer_above_the_cap_fails_its_call_and_ends_nothing_else(method: str) -> None:
    async with child(max_message_bytes=SMALL_CAP) as dispatcher:
        failure = await raised_by(dispatcher, method, {"bytes": 3 * SMALL_CAP})
        assert isinstance(failure, UpstreamMessageTooLarge)
        assert "fake" in failure.message
        assert await answers(dispatcher)
        assert dispatcher.faults["overlong_line"] == 1


async def test_an_endless_line_fails_all_calls_in_flight() -> None:
    failures: list[Exception] = []
    async with child(max_message_bytes=SMALL_CAP) as dispatcher:

        async def one(method: str) -> None:
            failures.append(await raised_by(dispatcher, method))

        async with anyio.create_task_group() as group:
            group.start_soon(one, "never")
            group.start_soon(one, "endless")
        assert [type(failure) for failure in failures] == [UpstreamMessageTooLarge] * 2
        assert dispatcher.faults == {"overlong_line": 1}


async def test_a_large_answer_below_the_cap_arrives_whole() -> None:
    async with child() as dispatcher:
        with anyio.fail_after(10):
            result = await ask(dispatcher, "huge", {"bytes": 15 * 1024 * 1024})
        assert len(result["text"]) == 15 * 1024 * 1024


# A child that does not read.


async def test_calls_wait_for_a_child_that_stops_reading_and_can_be_cancelled() -> None:
    one_mebibyte = Raw(b'"%b"' % (b"x" * 1024 * 1024))
    waiting = 0
    async with child("not_reading") as dispatcher, child() as sibling:

        async def one() -> None:
            nonlocal waiting
            waiting += 1
            await dispatcher.call("echo", {"pad": one_mebibyte})

        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(one)
            assert await answers(sibling)
            with anyio.fail_after(0.5):
                assert await answers(sibling)
            assert waiting == 100
            assert dispatcher.buffered_bytes < 3 * 1024 * 1024
            group.cancel_scope.cancel()
        assert dispatcher.failure is None


async def test_writers_go_on_when_the_child_reads_again() -> None:
    pad = "x" * 3_000_000
    async with child() as dispatcher, anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(dispatcher.call, "echo", {"pad": pad})
        await anyio.lowlevel.checkpoint()
        assert dispatcher.buffered_bytes > 1_000_000
        with anyio.fail_after(5):
            await dispatcher.notify("notifications/roots/list_changed")
            assert await answers(dispatcher)


async def test_writers_that_wait_are_told_when_the_connection_closes() -> None:
    dispatcher = child("not_reading")

    async def one() -> None:
        assert isinstance(await raised_by(dispatcher, "echo", {"pad": "x" * 2_000_000}), UpstreamDisconnected)

    async with anyio.create_task_group() as group, dispatcher:
        for _ in range(3):
            group.start_soon(one)
        await anyio.lowlevel.checkpoint()


# Notices.


async def test_a_notification_reaches_the_child() -> None:
    async with child() as dispatcher:
        await dispatcher.notify("notifications/initialized")
        assert (await received(dispatcher))[0] == {"jsonrpc": "2.0", "method": "notifications/initialized"}


async def test_a_closed_dispatcher_refuses_calls_and_notices() -> None:
    async with child() as dispatcher:
        pass
    for attempt in (dispatcher.call("echo", {}), dispatcher.notify("notifications/initialized")):
        with pytest.raises(UpstreamDisconnected):
            await attempt
    assert dispatcher.closed.is_set()
    assert dispatcher.failure is None


async def test_a_receiver_that_raises_does_not_stop_the_reading() -> None:
    class Failing(Remembering):
        def notify(self, method: str, params: object) -> None:
            raise RuntimeError("a door's fault")

    async with child() as dispatcher:
        noted = [["notifications/message", {"data": 1}]]
        assert await ask(dispatcher, "emit", {"send": noted}, sink=Failing()) == {}
        assert dispatcher.faults == {"receiver_failed": 1}
