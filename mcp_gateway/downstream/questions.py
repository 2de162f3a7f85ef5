"""Questions to legacy clients that wait for their answers, by session and by an id that nobody else uses."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

import anyio

from mcp_gateway.errors import RpcError
from mcp_gateway.wire import Raw, notification, request

CANCEL_WITHIN_S: Final = 1.0
"""How long a client is tried to be told that a question is not asked any more (our choice)."""

Say = Callable[[bytes], Awaitable[None]]


class _Question:
    """One that was asked."""

    def __init__(self, session: str) -> None:
        self.session = session
        self.answered = anyio.Event()
        self.answer: Raw | RpcError | None = None


class Questions:
    """What is open."""

    def __init__(self) -> None:
        self._prefix = f"ask-{secrets.token_hex(8)}"
        self._numbers = count(1)
        self._open: dict[str, _Question] = {}

    async def ask(self, session: str, method: str, params: bytes, say: Say) -> Raw:
        """Say the question and wait for what the client answers to it. Raises RpcError when it refuses."""
        id = f"{self._prefix}-{next(self._numbers)}"
        question = self._open[id] = _Question(session)
        try:
            await say(request(id, method, Raw(params)))
            await question.answered.wait()
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(CANCEL_WITHIN_S, shield=True):
                await say(notification("notifications/cancelled", {"requestId": id}))
            raise
        finally:
            del self._open[id]
        if isinstance(question.answer, RpcError):
            raise question.answer
        return question.answer or Raw(b"{}")

    def answer(self, session: str, id: str, answer: Raw | RpcError) -> bool:
        """Whether it was the answer to an open question of that session."""
        question = self._open.get(id)
        if question is None or question.session != session:
            return False
        question.answer = answer
        question.answered.set()
        return True
