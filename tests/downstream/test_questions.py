"""Questions to clients: each answer reaches who asked, and nobody else's does."""

from __future__ import annotations

import anyio
import pytest
from mcp_gateway.downstream.questions import Questions
from mcp_gateway.errors import RpcError
from mcp_gateway.wire import Raw, decode, loads


class Line:
    """What was said to a client."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.heard = anyio.Event()

    async def say(self, message: bytes) -> None:
        self.said.append(message)
        self.heard.set()

    @property
    def id(self) -> str:
        return str(decode(self.said[0]).id)


async def test_the_answer_is_what_the_client_sent() -> None:
    questions, line, answers = Questions(), Line(), list[Raw]()

    async def ask() -> None:
        answers.append(await questions.ask("s", "roots/list", b'{ "x":1.0 }', line.say))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await line.heard.wait()
            assert questions.answer("s", line.id, Raw(b'{ "roots":[] }'))

    assert bytes(answers[0]) == b'{ "roots":[] }'
    assert bytes(decode(line.said[0]).params["x"]) == b"1.0"  # type: ignore[index]  # it has params


async def test_a_refusal_is_raised_as_it_came() -> None:
    questions, line = Questions(), Line()

    async def refuse() -> None:
        await line.heard.wait()
        assert questions.answer("s", line.id, RpcError(b'{"code":-1,"message":"no"}'))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(refuse)
            with pytest.raises(RpcError, match="no"):
                await questions.ask("s", "roots/list", b"{}", line.say)


async def test_another_session_cannot_answer() -> None:
    questions, line = Questions(), Line()

    async def ask() -> None:
        await questions.ask("mine", "roots/list", b"{}", line.say)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await line.heard.wait()
            assert not questions.answer("yours", line.id, Raw(b"{}"))
            assert questions.answer("mine", line.id, Raw(b"{}"))
            assert not questions.answer("mine", "ask-1", Raw(b"{}"))


async def test_a_question_that_is_not_asked_any_more_is_taken_back() -> None:
    questions, line = Questions(), Line()

    async def ask() -> None:
        await questions.ask("s", "roots/list", b"{}", line.say)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await line.heard.wait()
            group.cancel_scope.cancel()

    taken_back = decode(line.said[1])
    assert taken_back.method == "notifications/cancelled"
    assert taken_back.params is not None
    assert loads(taken_back.params["requestId"]) == line.id
    assert not questions.answer("s", line.id, Raw(b"{}"))
