"""Calls that wait for answers of a client which can only be asked between two requests (2026-07-28, patterns/mrtr).

A call to an upstream that may ask in mid-call runs in a task of its own here. While it runs, the request that brought
it waits; once the upstream asks, that request is answered with the questions, and the call goes on waiting. The request
that brings the answers takes the call over: the tool runs once. How many wait, for how long and for whom is bounded.
How questions and answers look on each wire is the bridge's business.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final

import anyio
import anyio.abc

from mcp_gateway import bridge
from mcp_gateway.call import QUIET, Call, Sink
from mcp_gateway.capabilities import check_askable
from mcp_gateway.errors import INTERNAL_ERROR, RpcError, UpstreamUnavailable
from mcp_gateway.parking import Parking, state_of, subject_of
from mcp_gateway.wire import Raw, RawParams

logger = logging.getLogger(__name__)

PLACES: Final = 256
"""Calls that wait at once. Our choice: as many as one upstream takes at once."""

OF_PRINCIPAL: Final = 64
"""Of those, the ones of one principal (our choice)."""

GATHER_S: Final = 0.02
"""Questions that come within this time become one round (protocol facts, 4.1: 10-20 ms)."""

FAREWELL_S: Final = 1.0
"""What an upstream has, once its questions were left unanswered, to end the call itself before it is cancelled."""

SWEEP_S: Final = 30.0
"""How often results that nobody fetched in time are let go (our choice)."""

Work = Callable[[Sink], Awaitable[Raw]]
"""Makes the call at the upstream; the sink is the way back while it runs."""


class ParkedCalls:
    """`run` is its one task: calls live in it, and nothing is parked without it."""

    def __init__(self) -> None:
        self._parking: Parking[_Held] = Parking(places=PLACES, of_owner=OF_PRINCIPAL)
        self._group: anyio.abc.TaskGroup | None = None

    @property
    def keep_s(self) -> float:
        """How long a call waits for answers; a change holds for calls that are parked from now on."""
        return self._parking.keep_s

    @keep_s.setter
    def keep_s(self, keep_s: float) -> None:
        self._parking.keep_s = keep_s

    def __len__(self) -> int:
        """The calls that wait for answers just now."""
        return len(self._parking)

    async def run(self) -> None:
        """Keep the calls until cancelled; then they are cancelled, too."""
        async with anyio.create_task_group() as self._group:
            try:
                while True:
                    await anyio.sleep(SWEEP_S)
                    self._parking.sweep()
            finally:
                self._group = None

    async def call(self, call: Call, work: Work) -> Raw:
        """Make a call whose client cannot be asked while its request is under way: its result, or what is asked.

        The result, and every error of `work`, is that of the request that is waiting when the call ends.
        """
        if self._group is None:
            return await work(call.sink)
        held = _Held(call)
        self._group.start_soon(held.run, work)
        return await self._turn(held, call)

    async def resume(self, call: Call) -> Raw:
        """Go on with the call that this request brings answers for: its result, or what is asked next.

        Raises InvalidRequestState (no such call waits for this request), InvalidParams (the answers are none), and what
        `call` raises.
        """
        answers = bridge.answers(call.params)
        held = self._parking.take(state_of(call.params), call.principal.id, _subject(call))
        held.attach(call)
        held.answer(answers)
        return await self._turn(held, call)

    async def _turn(self, held: _Held, call: Call) -> Raw:
        """Until there is a result, or something is asked that can go out. A caller that leaves cancels the call."""
        try:
            while await held.asks() and (reason := self._reason_to_decline(held, call)) is not None:
                logger.info("parked.declined server=%s reason=%r", held.server, reason)
                held.decline(reason)
        except BaseException:
            held.cancel()
            raise
        return held.result() if held.ended else self._park(held, call)

    def _reason_to_decline(self, held: _Held, call: Call) -> str | None:
        if held.rounds >= bridge.MAX_ROUNDS:
            return f"one call may ask {bridge.MAX_ROUNDS} times"
        return None if self._parking.has_room(call.principal.id) else "too many calls wait for answers; try again later"

    def _park(self, held: _Held, call: Call) -> Raw:
        held.detach(self.keep_s)
        state = self._parking.park(call.principal.id, _subject(call), held)
        logger.debug("parked.waits server=%s round=%d", held.server, held.rounds)
        return bridge.input_required(held.questions, state)


class _Question:
    """One question that is open. `scope` bounds the wait for its answer."""

    def __init__(self, method: str, params: RawParams, until: float) -> None:
        self.method = method
        self.params = params
        self.scope = anyio.CancelScope(deadline=until)
        self.answer: Raw | RpcError | None = None
        self._answered = anyio.Event()

    def settle(self, answer: Raw | RpcError) -> None:
        self.answer = answer
        self._answered.set()

    async def settled(self) -> Raw:
        """Raises RpcError when nobody answers; an elicitation that nobody answers was cancelled (facts, 4.1)."""
        with self.scope:
            await self._answered.wait()
        if isinstance(self.answer, RpcError):
            raise self.answer
        if self.answer is not None:
            return self.answer
        if self.method == "elicitation/create":
            return bridge.CANCELLED
        raise RpcError.of(INTERNAL_ERROR, "the client did not answer in time")


class _Held:
    """One call at an upstream, and the `Sink` it speaks to: whichever request waits for it at the moment, or nobody."""

    def __init__(self, call: Call) -> None:
        self.owner = call.client.key
        self.token = call.sink.token
        self.server = call.route.server if call.route else None
        self.rounds = 0
        self._sink = call.sink
        self._capabilities: Any = call.client.capabilities
        self._open: dict[str, _Question] = {}
        self._numbers = count(1)
        self._until = math.inf
        self._scope = anyio.CancelScope()
        self._outcome: Raw | Exception | None = None
        self._changed = anyio.Event()

    @property
    def ended(self) -> bool:
        return self._outcome is not None

    @property
    def questions(self) -> Mapping[str, tuple[str, RawParams]]:
        """Those that are open: key -> method and params. Keys are not used again."""
        return {
            key: (question.method, question.params) for key, question in self._open.items() if question.answer is None
        }

    def result(self) -> Raw:
        """What the upstream answered; raises what came instead."""
        assert self._outcome is not None, "the call has ended"
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome

    # -- the call ------------------------------------------------------------------------------------------------

    async def run(self, work: Work) -> None:
        """The task of the call."""
        try:
            with self._scope:
                self._outcome = await work(self)
        except Exception as failure:  # boundary: whatever it is, it is raised in the request that waits for the call
            self._outcome = failure
        finally:
            if self._outcome is None:
                self._outcome = UpstreamUnavailable("the call was given up", server=self.server)
            self._notice()
        if anyio.current_time() >= self._until:
            logger.info("parked.expired server=%s round=%d", self.server, self.rounds)

    def cancel(self) -> None:
        self._scope.cancel()

    def notify(self, method: str, params: RawParams) -> None:
        """For the request that waits; between two of them nobody listens."""
        if bridge.is_told(method):
            self._sink.notify(method, params)

    async def request(self, method: str, params: RawParams) -> Raw:
        check_askable(method, params, self._capabilities)
        key = str(next(self._numbers))
        question = self._open[key] = _Question(method, params, self._until)
        self._notice()
        try:
            return await question.settled()
        finally:
            del self._open[key]

    # -- the requests --------------------------------------------------------------------------------------------

    async def asks(self) -> bool:
        """Wait until there is something to pass on; False when that is the result."""
        while not self.ended:
            if self._unanswered():
                with anyio.move_on_after(GATHER_S):
                    await self._until_ended()
                if self._unanswered() or self.ended:
                    break
            else:
                await self._changed.wait()
        return not self.ended

    def answer(self, answers: Mapping[str, Raw]) -> None:
        """Answers to what was never asked, or was taken back, are nobody's (2026-07-28, patterns/mrtr)."""
        for key, answer in answers.items():
            if key in self._open:
                self._open[key].settle(answer)

    def decline(self, reason: str) -> None:
        for question in self._open.values():
            question.settle(RpcError.of(INTERNAL_ERROR, f"declined: {reason}"))

    def attach(self, call: Call) -> None:
        """This request waits for the call from now on, for as long as it likes."""
        self._sink = call.sink
        self._capabilities = call.client.capabilities
        self._limit(math.inf)

    def detach(self, keep_s: float) -> None:
        """Nobody waits; the call is cancelled unless somebody does again within `keep_s` seconds."""
        self.rounds += 1
        self._sink = QUIET
        self._limit(anyio.current_time() + keep_s)

    def _limit(self, until: float) -> None:
        self._until = until
        self._scope.deadline = until + FAREWELL_S
        for question in self._open.values():
            question.scope.deadline = until

    def _unanswered(self) -> bool:
        return any(question.answer is None for question in self._open.values())

    async def _until_ended(self) -> None:
        while not self.ended:
            await self._changed.wait()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _subject(call: Call) -> bytes:
    """What the answers have to be for: the method, where it leads, and the arguments."""
    assert call.route is not None, "the gateway resolved the name"
    return subject_of(call.method, (call.route.server, call.route.name), call.params.get("arguments"))
