"""Mid-call traffic on a shared pipe reaches the call it belongs to, and nobody else."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp_gateway.call import QUIET
from mcp_gateway.errors import UpstreamDisconnected
from mcp_gateway.upstream.dispatch.midcall import LOGS_PER_S
from mcp_gateway.wire import Raw, RawParams, loads

from tests.upstream.dispatch.pipes import Remembering, answers, ask, child, until

LOG: list[Any] = ["notifications/message", {"level": "info", "data": "hi"}]
LIST_CHANGED: list[Any] = ["notifications/tools/list_changed", {}]


class Heard:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    def __call__(self, method: str, params: RawParams) -> None:
        self.methods.append(method)


async def test_progress_reaches_the_call_it_belongs_to_in_order() -> None:
    first, second = Remembering("a", token="t1"), Remembering("b", token=2)
    async with child() as dispatcher, anyio.create_task_group() as group:
        for sink in (first, second):
            group.start_soon(dispatcher.call, "progress", {}, sink)
    for sink in (first, second):
        assert [heard[1]["progress"] for heard in sink.heard] == [0, 1, 2]


async def test_no_token_is_sent_for_a_caller_that_wants_no_progress() -> None:
    async with child() as dispatcher:
        sink = Remembering(token=None)
        assert await ask(dispatcher, "progress", {}, sink=sink) == {"token": None}
        assert sink.heard == []
        assert dispatcher.faults == {"late_progress": 3}


async def test_a_callers_own_token_never_reaches_the_upstream() -> None:
    async with child() as dispatcher:
        params = {"_meta": Raw(b'{"progressToken":1,"v":1.0}')}
        echoed = await ask(dispatcher, "echo", params, sink=Remembering(token=None))
        assert echoed == {"echo": {"_meta": {"v": 1.0}}}


async def test_progress_of_a_finished_call_is_dropped_and_counted() -> None:
    late = [["notifications/progress", {"progressToken": 1, "progress": 1}]]
    async with child() as dispatcher:
        await ask(dispatcher, "echo", {}, sink=Remembering(token=1))
        sink = Remembering()
        await ask(dispatcher, "emit", {"send": late}, sink=sink)
        assert sink.heard == []
        assert dispatcher.faults == {"late_progress": 1}


async def test_a_log_message_goes_to_the_only_client_with_calls_in_flight() -> None:
    heard, sink = Heard(), Remembering()
    async with child(listener=heard) as dispatcher:
        await ask(dispatcher, "emit", {"send": [LOG]}, sink=sink)
    assert sink.heard == [tuple(LOG)]
    assert heard.methods == []


async def test_a_notification_arrives_before_the_answer_that_follows_it() -> None:
    sink = Remembering()
    async with child() as dispatcher:
        for count in range(1, 20):
            await dispatcher.call("emit", {"send": [LOG]}, sink)
            assert len(sink.heard) == count


async def test_with_two_clients_in_flight_a_log_message_goes_to_the_listener() -> None:
    heard, mine, other = Heard(), Remembering("a"), Remembering("b")
    async with child(listener=heard) as dispatcher, anyio.create_task_group() as group:
        group.start_soon(dispatcher.call, "never", {}, other)
        await anyio.lowlevel.checkpoint()
        await ask(dispatcher, "emit", {"send": [LOG]}, sink=mine)
        group.cancel_scope.cancel()
    assert (mine.heard, other.heard, heard.methods) == ([], [], ["notifications/message"])


async def test_a_log_message_goes_to_the_newest_of_one_clients_calls() -> None:
    older, newer = Remembering("a"), Remembering("a")
    async with child() as dispatcher, anyio.create_task_group() as group:
        group.start_soon(dispatcher.call, "never", {}, older)
        await anyio.lowlevel.checkpoint()
        await ask(dispatcher, "emit", {"send": [LOG]}, sink=newer)
        group.cancel_scope.cancel()
    assert (len(older.heard), len(newer.heard)) == (0, 1)


async def test_a_log_message_while_only_the_gateway_itself_asks_goes_to_the_listener() -> None:
    heard = Heard()
    async with child(listener=heard) as dispatcher:
        await ask(dispatcher, "emit", {"send": [LOG]}, sink=QUIET)
    assert heard.methods == ["notifications/message"]


async def test_a_change_of_the_offer_always_goes_to_the_listener() -> None:
    heard, sink = Heard(), Remembering()
    async with child(listener=heard) as dispatcher:
        await ask(dispatcher, "emit", {"send": [LIST_CHANGED]}, sink=sink)
    assert (sink.heard, heard.methods) == ([], ["notifications/tools/list_changed"])


async def test_a_flood_of_log_messages_is_cut_and_counted() -> None:
    sink = Remembering()
    async with child() as dispatcher:
        await ask(dispatcher, "emit", {"send": [LOG] * (5 * LOGS_PER_S)}, sink=sink)
        assert LOGS_PER_S <= len(sink.heard) < 5 * LOGS_PER_S
        assert dispatcher.faults["log_flood"] == 5 * LOGS_PER_S - len(sink.heard)


async def test_a_listen_hears_its_own_stream_and_does_not_hinder_attribution() -> None:
    stream, sink = Remembering("gateway"), Remembering("client")
    async with child() as dispatcher, anyio.create_task_group() as group:
        group.start_soon(dispatcher.call, "subscriptions/listen", {}, stream)
        await until(lambda: len(stream.heard) == 2)
        await ask(dispatcher, "emit", {"send": [LOG]}, sink=sink)
        group.cancel_scope.cancel()
    assert [method for method, _ in stream.heard] == [
        "notifications/subscriptions/acknowledged",
        "notifications/tools/list_changed",
    ]
    assert sink.heard == [tuple(LOG)]


async def test_the_upstream_can_end_a_request_of_ours() -> None:
    async with child() as dispatcher:
        with anyio.fail_after(5), pytest.raises(UpstreamDisconnected):
            await dispatcher.call("cancel_by_server", {})
        assert await answers(dispatcher)
        assert not dispatcher.closed.is_set()


async def test_once_the_upstream_has_asked_its_cancel_cannot_end_a_call_that_is_no_listen() -> None:
    async with child() as dispatcher, anyio.create_task_group() as group:
        await ask(dispatcher, "ask", {"question": "ping"})
        group.start_soon(dispatcher.call, "cancel_by_server", {})
        await until(lambda: dispatcher.faults == {"late_cancel": 1})
        group.cancel_scope.cancel()


async def test_the_progress_token_does_not_touch_the_other_meta_members() -> None:
    async with child() as dispatcher:
        params = {"_meta": Raw(b'{"traceparent": "00-1", "big":1.0e2}')}
        raw = await dispatcher.call("echo", params, Remembering(token=5))
        assert loads(raw) == {"echo": {"_meta": {"traceparent": "00-1", "big": 100.0, "progressToken": 1}}}
