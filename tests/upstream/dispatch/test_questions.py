"""Questions an upstream asks on a shared pipe."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.upstream.dispatch.base import MAX_QUESTIONS
from mcp_gateway.wire import Raw, RawParams

from tests.upstream.dispatch.pipes import Remembering, answers, ask, child, received, until, wait_forever


async def test_ping_is_answered_here() -> None:
    async with child() as dispatcher:
        assert await ask(dispatcher, "ask", {"question": "ping"}) == {
            "reply": {"jsonrpc": "2.0", "id": "q1", "result": {}}
        }


@pytest.mark.parametrize("method", ["sampling/createMessage", "elicitation/create", "roots/list"])
async def test_a_question_goes_to_the_only_client_with_calls_in_flight(method: str) -> None:
    sink = Remembering()
    async with child() as dispatcher:
        answered = await ask(dispatcher, "ask", {"question": method}, sink=sink)
    assert answered["reply"]["result"] == {"model": "mine"}
    assert sink.questions == [method]


async def test_a_question_is_declined_when_it_could_be_anybodys() -> None:
    mine, other = Remembering("a"), Remembering("b")
    async with child() as dispatcher, anyio.create_task_group() as group:
        group.start_soon(dispatcher.call, "never", {}, other)
        await anyio.lowlevel.checkpoint()
        answered = await ask(dispatcher, "ask", {"question": "elicitation/create"}, sink=mine)
        group.cancel_scope.cancel()
    assert "isolation: session" in answered["reply"]["error"]["message"]
    assert mine.questions == other.questions == []


async def test_a_line_break_in_a_clients_reply_stays_inside_its_line() -> None:
    async def reply(method: str, params: RawParams) -> Raw:
        return Raw(b'{"a":\n1}')

    async with child() as dispatcher:
        answered = await ask(dispatcher, "ask", {"question": "roots/list"}, sink=Remembering(reply=reply))
    assert answered["reply"]["result"] == {"a": 1}


async def test_a_sink_that_raises_still_gives_the_upstream_its_reply() -> None:
    async def reply(method: str, params: RawParams) -> Raw:
        raise RuntimeError("a secret of ours")

    async with child() as dispatcher:
        answered = await ask(dispatcher, "ask", {"question": "roots/list"}, sink=Remembering(reply=reply))
    assert answered["reply"]["error"] == {"code": -32603, "message": "the client could not answer"}


async def test_a_question_that_is_withdrawn_gets_no_reply() -> None:
    sink = Remembering(reply=wait_forever)
    async with child() as dispatcher:
        await ask(dispatcher, "ask_and_withdraw", {}, sink=sink)
        assert await answers(dispatcher)
        assert [message.get("id") for message in await received(dispatcher)] == [1, 2, 3]


async def test_a_question_ends_with_the_last_call_of_its_client() -> None:
    sink = Remembering(reply=wait_forever)
    async with child() as dispatcher:
        async with anyio.create_task_group() as group:
            group.start_soon(dispatcher.call, "ask_only", {}, sink)
            await sink.asked.wait()
            group.cancel_scope.cancel()
        replies = [message for message in await received(dispatcher) if message.get("id") == "q1"]
        assert await answers(dispatcher)
        replies = [message for message in await received(dispatcher) if message.get("id") == "q1"]
    assert [reply["error"]["message"] for reply in replies] == ["the call this request belonged to has ended"]


async def test_questions_above_the_cap_are_refused() -> None:
    sink = Remembering(reply=wait_forever)
    async with child() as dispatcher, anyio.create_task_group() as group:
        group.start_soon(dispatcher.call, "never", {}, sink)
        await anyio.lowlevel.checkpoint()
        await ask(dispatcher, "ask_often", {"count": MAX_QUESTIONS + 8}, sink=sink)
        refused = [message for message in await received(dispatcher) if "error" in message]
        assert dispatcher.faults == {"question_flood": 8}
        assert len(refused) == 8
        assert len(sink.questions) == MAX_QUESTIONS
        group.cancel_scope.cancel()


async def test_a_modern_upstream_may_not_ask() -> None:
    sink = Remembering()
    async with child() as dispatcher, anyio.create_task_group() as group:
        dispatcher.negotiated("2026-07-28")
        group.start_soon(dispatcher.call, "ask_only", {}, sink)
        await until(lambda: dispatcher.faults == {"forbidden_question": 1})
        assert len(await received(dispatcher)) == 2
        group.cancel_scope.cancel()
    assert sink.questions == []


async def test_a_child_that_asks_and_never_reads_cannot_fill_our_memory() -> None:
    async with child("asking") as dispatcher:
        await until(lambda: dispatcher.faults.get("question_flood", 0) > 50_000)
        assert dispatcher.buffered_bytes < 2 * 1024 * 1024
        assert dispatcher.failure is None
