"""The way back to one caller: in order, bounded, and the answer last."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway.call import Call, Client
from mcp_gateway.downstream.enclosure import content
from mcp_gateway.downstream.sink import QUEUE, SdkSink
from mcp_gateway.errors import RpcError
from mcp_gateway.revisions import LATEST_LEGACY, LATEST_MODERN
from mcp_gateway.wire import Raw, loads


class Channel:
    """The SDK's request-scoped channel: remembers, and takes nothing while its gate is shut."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.gate = anyio.Event()
        self.gate.set()

    async def notify(self, method: str, params: Any) -> None:
        await self.gate.wait()
        self.sent.append((method, loads(content(params))))

    async def send_raw_request(self, method: str, params: Any) -> dict[str, Any]:
        if method == "refused":
            raise MCPError(-1, "declined", {"by": "user"})
        self.sent.append((method, loads(content(params))))
        return {"answer": 1.0}


def sink_over(
    channel: Channel, *, token: object = "t", revision: str = LATEST_LEGACY, log_level: str | None = None
) -> SdkSink:
    params = {} if token is None else {"_meta": {"progressToken": token}}
    context = SimpleNamespace(params=params, session=SimpleNamespace(_request_outbound=channel))
    client = Client("me", revision=revision, capabilities={"roots": {}})
    call = Call("tools/call", params, client, log_level=log_level)
    return SdkSink(cast(Any, context), call)


@asynccontextmanager
async def pumping(sink: SdkSink) -> AsyncIterator[None]:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(sink.pump)
            yield
            await sink.drained()
            group.cancel_scope.cancel()


async def test_notifications_go_out_in_order_under_the_callers_token() -> None:
    channel = Channel()
    sink = sink_over(channel)
    async with pumping(sink):
        sink.notify("notifications/progress", {"progressToken": 5, "progress": Raw(b"1.0")})
        sink.notify("vendor/event", {"x": Raw(b"[null]")})

    assert channel.sent == [
        ("notifications/progress", {"progressToken": "t", "progress": 1.0}),
        ("vendor/event", {"x": [None]}),
    ]


@pytest.mark.parametrize("token", [None, 1.5, [], {}])
async def test_without_a_token_there_is_no_progress(token: object) -> None:
    channel = Channel()
    sink = sink_over(channel, token=token)
    async with pumping(sink):
        sink.notify("notifications/progress", {"progress": 1})

    assert (sink.token, channel.sent) == (None, [])


async def test_a_slow_client_loses_the_oldest_and_nothing_else() -> None:
    channel = Channel()
    channel.gate = anyio.Event()
    sink = sink_over(channel)
    async with pumping(sink):
        sink.notify("first", {})
        await anyio.wait_all_tasks_blocked()
        for number in range(QUEUE + 5):
            sink.notify("later", {"n": number})
        channel.gate.set()

    assert sink.dropped == 5
    assert channel.sent == [("first", {}), *(("later", {"n": number}) for number in range(5, QUEUE + 5))]


async def test_several_who_wait_for_the_queue_are_all_woken() -> None:
    channel = Channel()
    sink, woken = sink_over(channel), list[int]()

    async def wait(number: int) -> None:
        await sink.drained()
        woken.append(number)

    with anyio.fail_after(2):
        sink.notify("x", {})
        async with anyio.create_task_group() as group:
            group.start_soon(wait, 1)
            group.start_soon(wait, 2)
            await anyio.wait_all_tasks_blocked()
            async with pumping(sink):
                pass

    assert sorted(woken) == [1, 2]


async def test_a_question_follows_what_was_said_before_it() -> None:
    channel = Channel()
    sink = sink_over(channel)
    async with pumping(sink):
        sink.notify("before", {})
        answer = await sink.request("roots/list", {"x": Raw(b"1")})

    assert loads(answer) == {"answer": 1.0}
    assert channel.sent == [("before", {}), ("roots/list", {"x": 1})]


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create"])
async def test_a_client_is_not_asked_what_it_never_said_it_can_answer(method: str) -> None:
    channel = Channel()
    with pytest.raises(RpcError, match="did not declare"):
        await sink_over(channel).request(method, {})

    assert channel.sent == []


async def test_a_refusal_keeps_its_code_and_data() -> None:
    with pytest.raises(RpcError) as refused:
        await sink_over(Channel()).request("refused", {})

    assert refused.value.error == {"code": -1, "message": "declined", "data": {"by": "user"}}


@pytest.mark.parametrize(
    ("revision", "wanted", "passed"),
    [
        (LATEST_LEGACY, None, ["debug", "error", "odd"]),
        (LATEST_LEGACY, "warning", ["error", "odd"]),
        (LATEST_MODERN, None, []),
        (LATEST_MODERN, "debug", ["debug", "error", "odd"]),
    ],
)
async def test_log_messages_pass_from_the_wanted_level_on(revision: str, wanted: str | None, passed: list[str]) -> None:
    channel = Channel()
    sink = sink_over(channel, revision=revision, log_level=wanted)
    async with pumping(sink):
        for level in ("debug", "error", "odd"):
            sink.notify("notifications/message", {"level": Raw(f'"{level}"'.encode())})

    assert [params["level"] for _, params in channel.sent] == passed


async def test_params_keep_their_spelling() -> None:
    spelled: list[bytes] = []

    class Spelling(Channel):
        async def notify(self, method: str, params: Any) -> None:
            spelled.append(bytes(content(params)))

    sink = sink_over(Spelling())
    async with pumping(sink):
        sink.notify("vendor/event", {"n": Raw(b"1E+2"), "s": Raw(b'"caf\\u00e9"'), "big": Raw(b"1e999")})

    assert spelled == [b'{"n":1E+2,"s":"caf\\u00e9","big":1e999}']
