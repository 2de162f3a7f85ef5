"""Questions an upstream asks us on a pipe (sampling, elicitation, roots, ping), each answered by a task.

A question and the sink it belongs to enter; one reply line leaves. Which sink that
is has been decided by the caller.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
import anyio.abc

from mcp_gateway.call import Sink
from mcp_gateway.errors import INTERNAL_ERROR, METHOD_NOT_FOUND, GatewayError, RpcError
from mcp_gateway.upstream.dispatch.base import MAX_QUESTIONS, answer
from mcp_gateway.wire import Raw, RawParams, RequestId, error_reply, reply

logger = logging.getLogger(__name__)

OVER = RpcError.of(INTERNAL_ERROR, "the call this request belonged to has ended").raw
TOO_MANY = RpcError.of(INTERNAL_ERROR, f"more than {MAX_QUESTIONS} requests in flight to the client").raw
_FAILED = RpcError.of(INTERNAL_ERROR, "the client could not answer").raw


class _Nobody:
    """The sink of a question that cannot be told to belong to one client."""

    owner = ""
    token: str | int | None = None

    def notify(self, method: str, params: RawParams) -> None:
        return

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(
            METHOD_NOT_FOUND,
            f"declined: {method} cannot be told to belong to one client of this shared connection; "
            "`isolation: session` in the server's entry gives each client a connection of its own",
        )


NOBODY: Sink = _Nobody()


@dataclass(slots=True)
class _Question:
    scope: anyio.CancelScope
    owner: str
    withdrawn: bool = False


class Questions:
    """The questions in flight on one connection, at most MAX_QUESTIONS."""

    def __init__(
        self, tasks: anyio.abc.TaskGroup, send: Callable[[bytes], Awaitable[None]], count: Callable[[str], None]
    ) -> None:
        """`count` is told of each reply that could not be sent: the upstream is gone, which is its calls' affair."""
        self.were_asked = False
        self._tasks = tasks
        self._send = send
        self._count = count
        self._open: dict[RequestId, _Question] = {}

    def ask(self, id: RequestId, method: str, params: RawParams, sink: Sink) -> bool:
        """Start answering; False when there are too many, or one with this id is open."""
        self.were_asked = True
        if len(self._open) >= MAX_QUESTIONS or id in self._open:
            return False
        question = self._open[id] = _Question(anyio.CancelScope(), sink.owner)
        self._tasks.start_soon(self._answer, id, method, params, sink, question)
        return True

    def withdraw(self, id: RequestId) -> bool:
        """The upstream takes a question back: no reply. False when it is not open."""
        question = self._open.get(id)
        if question is None:
            return False
        question.withdrawn = True
        question.scope.cancel()
        return True

    def end_of(self, owner: str) -> None:
        """The owner's last call ended; nobody will answer for it any more."""
        for question in self._open.values():
            if owner and question.owner == owner:
                question.scope.cancel()

    async def _answer(self, id: RequestId, method: str, params: RawParams, sink: Sink, question: _Question) -> None:
        """A question stays open until its reply is written: that bounds what waits for a child that does not read."""
        try:
            answered = await self._reply(id, method, params, sink, question.scope)
            if not question.withdrawn:
                await self._send(answered)
        except (GatewayError, RpcError):
            self._count("unsent_answer")
        finally:
            del self._open[id]

    async def _reply(
        self, id: RequestId, method: str, params: RawParams, sink: Sink, scope: anyio.CancelScope
    ) -> bytes:
        try:
            with scope:
                result, error = await answer(sink, method, params)
                return error_reply(id, error or _FAILED) if result is None else reply(id, result)
        except Exception:  # boundary: a door's sink; the upstream must get its reply all the same
            logger.exception("upstream.question_failed method=%s", method)
            return error_reply(id, _FAILED)
        return error_reply(id, OVER)
