"""Calls that wait for answers between two requests: who may go on with one, for how long, and how many there are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from mcp_gateway.bridge import MAX_ROUNDS
from mcp_gateway.call import Call, Client, Sink
from mcp_gateway.catalog import Kind, Route
from mcp_gateway.errors import InvalidParams, InvalidRequestState, RpcError, UpstreamDisconnected
from mcp_gateway.parked_calls import OF_PRINCIPAL, ParkedCalls
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Raw, RawParams, encode, loads

ROUTE = Route(Kind.TOOL, "up", "up__tool", "tool")
FORM: RawParams = {"mode": "form", "message": "who?"}
YES = {"action": "accept", "content": {}}
ANN, BOB = Principal("ann"), Principal("bob")


@dataclass
class Ear:
    """The sink of one request."""

    owner: str = "one"
    token: str | int | None = 7
    heard: list[str] = field(default_factory=list)

    def notify(self, method: str, params: RawParams) -> None:
        self.heard.append(method)

    async def request(self, method: str, params: RawParams) -> Raw:
        raise AssertionError("a stateless client is asked between two requests")


def request(principal: Principal = ANN, sink: Sink | None = None, can: Any = None, **params: Any) -> Call:
    client = Client("one", capabilities={"elicitation": {}} if can is None else can, principal=principal)
    return Call("tools/call", {"name": "tool", **params}, client, sink or Ear(), route=ROUTE)


def answering(asked: dict[str, Any], answer: Any = None, **more: Any) -> Call:
    """The request that brings the same answer to everything."""
    answers = dict.fromkeys(asked["inputRequests"], YES if answer is None else answer)
    return request(requestState=asked["requestState"], inputResponses=answers, **more)


async def asks(sink: Sink) -> Raw:
    """The upstream's tool: asks once and tells what it heard."""
    return Raw(encode({"heard": await sink.request("elicitation/create", dict(FORM))}))


@asynccontextmanager
async def parked() -> AsyncIterator[ParkedCalls]:
    calls = ParkedCalls()
    async with anyio.create_task_group() as group:
        group.start_soon(calls.run)
        await anyio.wait_all_tasks_blocked()
        yield calls
        group.cancel_scope.cancel()


async def test_a_call_that_asks_nothing_comes_back_as_it_is() -> None:
    async def work(sink: Sink) -> Raw:
        return Raw(b"{}")

    async with parked() as calls:
        assert loads(await calls.call(request(), work)) == {}


async def test_the_next_request_brings_the_answers_and_gets_the_result() -> None:
    async with parked() as calls:
        first = loads(await calls.call(request(), asks))
        assert first["resultType"] == "input_required"
        assert first["inputRequests"] == {"1": {"method": "elicitation/create", "params": FORM}}
        assert len(calls) == 1
        assert loads(await calls.resume(answering(first))) == {"heard": YES}
        assert len(calls) == 0


async def test_questions_at_once_are_one_round_and_what_was_not_answered_is_asked_again() -> None:
    async def work(sink: Sink) -> Raw:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(sink.request, "elicitation/create", dict(FORM))
        return Raw(b"{}")

    async with parked() as calls:
        first = loads(await calls.call(request(), work))
        assert first["inputRequests"].keys() == {"1", "2", "3"}
        some = request(requestState=first["requestState"], inputResponses={"2": YES, "9": YES})
        second = loads(await calls.resume(some))
        assert second["inputRequests"].keys() == {"1", "3"}
        assert loads(await calls.resume(answering(second))) == {}


async def test_a_state_is_good_once_for_its_principal_and_its_request() -> None:
    async with parked() as calls:
        first = loads(await calls.call(request(arguments={"a": 1}), asks))
        for wrong in (
            answering(first, principal=BOB, arguments={"a": 1}),
            answering(first, arguments={"a": 2}),
            answering({**first, "requestState": first["requestState"][::-1]}, arguments={"a": 1}),
        ):
            with pytest.raises(InvalidRequestState):
                await calls.resume(wrong)
        await calls.resume(answering(first, arguments={"a": 1}))
        with pytest.raises(InvalidRequestState):
            await calls.resume(answering(first, arguments={"a": 1}))


@pytest.mark.parametrize("answer", [7, "yes", [YES]])
async def test_an_answer_that_is_none_changes_nothing(answer: Any) -> None:
    async with parked() as calls:
        first = loads(await calls.call(request(), asks))
        with pytest.raises(InvalidParams, match="inputResponses"):
            await calls.resume(answering(first, answer))
        with pytest.raises(InvalidParams, match="inputResponses"):
            await calls.resume(request(requestState=first["requestState"], inputResponses=answer))
        assert loads(await calls.resume(answering(first))) == {"heard": YES}


async def test_what_happens_after_the_answers_is_told_to_the_request_that_brought_them() -> None:
    async def work(sink: Sink) -> Raw:
        sink.notify("notifications/progress", {})
        await sink.request("elicitation/create", dict(FORM))
        sink.notify("notifications/message", {})
        sink.notify("notifications/elicitation/complete", {})
        return Raw(b"{}")

    before, after = Ear(), Ear()
    async with parked() as calls:
        first = loads(await calls.call(request(sink=before), work))
        await calls.resume(answering(first, sink=after))

    assert before.heard == ["notifications/progress"]
    assert after.heard == ["notifications/message"]


async def test_nobody_hears_what_happens_between_two_requests() -> None:
    spoken, go = anyio.Event(), anyio.Event()

    async def work(sink: Sink) -> Raw:
        async with anyio.create_task_group() as group:
            group.start_soon(sink.request, "elicitation/create", dict(FORM))
            await go.wait()
            sink.notify("notifications/progress", {})
            spoken.set()
        return Raw(b"{}")

    before, after = Ear(), Ear()
    async with parked() as calls:
        first = loads(await calls.call(request(sink=before), work))
        go.set()
        await spoken.wait()
        await calls.resume(answering(first, sink=after))

    assert before.heard == after.heard == []


async def test_what_the_client_did_not_declare_is_declined_without_asking() -> None:
    async def work(sink: Sink) -> Raw:
        try:
            return await sink.request("roots/list", {})
        except RpcError as refused:
            return Raw(encode({"refused": refused.error["message"]}))

    async with parked() as calls:
        refused = loads(await calls.call(request(), work))
    assert refused == {"refused": "declined: the client did not declare roots"}


async def test_errors_reach_the_request_that_waits() -> None:
    async def work(sink: Sink) -> Raw:
        await sink.request("elicitation/create", dict(FORM))
        raise RpcError.of(-32000, "no")

    async with parked() as calls:
        first = loads(await calls.call(request(), work))
        with pytest.raises(RpcError, match="no"):
            await calls.resume(answering(first))


async def test_a_call_that_ends_while_nobody_waits_keeps_its_end_for_the_next_request() -> None:
    dies = anyio.Event()

    async def work(sink: Sink) -> Raw:
        async with anyio.create_task_group() as group:
            group.start_soon(sink.request, "elicitation/create", dict(FORM))
            await dies.wait()
            group.cancel_scope.cancel()
        raise UpstreamDisconnected("upstream 'up' ended", server="up")

    async with parked() as calls:
        first = loads(await calls.call(request(), work))
        dies.set()
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(UpstreamDisconnected):
            await calls.resume(answering(first))


async def test_a_call_whose_time_is_over_hears_a_cancel_and_is_cancelled() -> None:
    heard: list[Any] = []
    cancelled = anyio.Event()

    async def work(sink: Sink) -> Raw:
        try:
            heard.append(loads(await sink.request("elicitation/create", dict(FORM))))
            with pytest.raises(RpcError, match="in time"):
                await sink.request("roots/list", {})
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with parked() as calls:
        calls.keep_s = 0.05
        first = loads(await calls.call(request(can={"elicitation": {}, "roots": {}}), work))
        with anyio.fail_after(5):
            await cancelled.wait()
        with pytest.raises(InvalidRequestState):
            await calls.resume(answering(first))
    assert heard == [{"action": "cancel"}]


async def test_a_caller_that_leaves_while_it_waits_cancels_the_call() -> None:
    began, cancelled = anyio.Event(), anyio.Event()

    async def work(sink: Sink) -> Raw:
        try:
            await sink.request("elicitation/create", dict(FORM))
            began.set()
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with parked() as calls:
        first = loads(await calls.call(request(), work))
        async with anyio.create_task_group() as group:
            group.start_soon(calls.resume, answering(first))
            await began.wait()
            group.cancel_scope.cancel()
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_one_principal_takes_no_more_than_its_places() -> None:
    async def work(sink: Sink) -> Raw:
        try:
            return Raw(encode({"heard": await sink.request("elicitation/create", dict(FORM))}))
        except RpcError as refused:
            return Raw(encode({"refused": refused.error["message"]}))

    async with parked() as calls:
        async with anyio.create_task_group() as group:
            for _ in range(OF_PRINCIPAL):
                group.start_soon(calls.call, request(), work)
        one_more = loads(await calls.call(request(), work))
        others = loads(await calls.call(request(principal=BOB), work))

    assert "too many calls wait" in one_more["refused"]
    assert others["resultType"] == "input_required"


async def test_one_call_asks_only_so_often() -> None:
    async def work(sink: Sink) -> Raw:
        for asked in range(MAX_ROUNDS + 1):
            try:
                await sink.request("elicitation/create", dict(FORM))
            except RpcError as refused:
                return Raw(encode({"rounds": asked, "why": refused.error["message"]}))
        raise AssertionError

    async with parked() as calls:
        result = loads(await calls.call(request(), work))
        while "inputRequests" in result:
            result = loads(await calls.resume(answering(result)))
    assert result["rounds"] == MAX_ROUNDS


async def test_without_its_task_nothing_is_parked() -> None:
    async def work(sink: Sink) -> Raw:
        return Raw(encode({"to": sink.owner, "same": sink is ear}))

    ear = Ear()
    assert loads(await ParkedCalls().call(request(sink=ear), work)) == {"to": "one", "same": True}


async def test_calls_end_with_their_task() -> None:
    ended = anyio.Event()

    async def work(sink: Sink) -> Raw:
        try:
            return await sink.request("elicitation/create", dict(FORM))
        finally:
            ended.set()

    async with parked() as calls:
        await calls.call(request(), work)
    assert ended.is_set()
