"""The ask loop: a model's turns and the calls between them, within bounds, until there is an answer.

A state enters; a result leaves, or a question to a person with the state waiting for its answer. Whatever happens,
what was found is not thrown away.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from mcp_gateway.llm.bounds import RESERVE_AT_MOST_S, RESERVE_SHARE, Bounds, StopReason
from mcp_gateway.llm.ending import ended
from mcp_gateway.llm.events import Done, Emit
from mcp_gateway.llm.messages import LLMResponse
from mcp_gateway.llm.planning import Policy, plan_round, settle_confirmations
from mcp_gateway.llm.result import AskResult
from mcp_gateway.llm.running import Runner, Search
from mcp_gateway.llm.service import LLMService
from mcp_gateway.llm.state import AskState, Planned
from mcp_gateway.llm.toolbox import SMALL
from mcp_gateway.llm.turns import Turns, without_tools


@dataclass(frozen=True, slots=True)
class Question:
    """Calls that a person has to confirm before the ask can go on."""

    calls: Sequence[Planned]


class AskLoop:
    """One request's share of an ask: it ends before `deadline_monotonic_s`."""

    def __init__(
        self,
        service: LLMService,
        runner: Runner,
        search: Search,
        bounds: Bounds,
        policy: Policy,
        emit: Emit,
        deadline_monotonic_s: float,
        *,
        scope: str = "",
    ) -> None:
        """`scope` names whose answers the model's cache may mix."""
        self._service = service
        self._runner = runner
        self._search = search
        self._bounds = bounds
        self._policy = policy
        self._emit = emit
        self._deadline_monotonic_s = deadline_monotonic_s
        self._turns = Turns(service, bounds, emit, scope)

    async def run(self, state: AskState, approved: dict[str, bool] | None = None) -> AskResult | Question:
        """Go on from where the state stands. `approved` answers the question that the last `run` ended with."""
        if state.round is not None:
            settle_confirmations(state, approved or {})
        left_s = max(0.0, self._deadline_monotonic_s - time.monotonic())
        with anyio.move_on_after(left_s - min(RESERVE_AT_MOST_S, left_s * RESERVE_SHARE)) as scope:
            waiting = await self._work(state)
            if waiting:
                state.forms += 1
                return Question(waiting)
        if scope.cancelled_caught:
            state.stop = StopReason.DEADLINE
        state.close_round("the time is up")
        return await self._finish(state)

    # -- turns and rounds ----------------------------------------------------------------------------------------

    async def _work(self, state: AskState) -> list[Planned]:
        """Turn after turn until the state has an answer or a reason to stop; or the calls that wait for a person."""
        if state.round is not None:
            await self._runner.run(state)
            state.close_round("it was not made")
        if state.offered is None:
            await self._choose(state)
        while state.stop is None and state.answer is None:
            if (reason := self._bound(state)) is not None:
                state.stop = reason
                break
            response = await self._turns.take(state)
            if response is None:
                break
            if not response.tool_calls:
                self._take_answer(state, response)
                continue
            state.is_silent = False
            plan_round(state, response, self._bounds, self._policy)
            await self._runner.run(state)
            if waiting := state.waiting():
                return waiting
            state.close_round("it was not made")
        return []

    async def _choose(self, state: AskState) -> None:
        """The tools offered at first: all of a small box, else the best for the question."""
        names = list(state.toolbox.tools)
        if len(names) > SMALL:
            fits = await self._service._should_call_mcp(state.messages)
            found = await self._search([state.question], 4 * self._bounds.candidates) if fits else []
            names = [name for name in found if name in state.toolbox.tools][: self._bounds.candidates]
        state.offered = names
        if not self._service.capabilities.tools:
            without_tools(state)

    def _bound(self, state: AskState) -> StopReason | None:
        """The bound that another turn with tools would break."""
        if state.rounds >= self._bounds.max_rounds:
            return StopReason.MAX_ROUNDS
        if state.spent_bytes >= self._bounds.max_bytes:
            return StopReason.MAX_BYTES
        if state.spent_tokens + self._turns.cost(state) > self._bounds.max_tokens:
            return StopReason.MAX_TOKENS
        return None

    def _take_answer(self, state: AskState, response: LLMResponse) -> None:
        """Text is the answer; a model that says nothing at all is asked once more."""
        if response.text.strip():
            state.answer = response.text
        elif state.is_silent:
            state.stop, state.error = StopReason.LLM_ERROR, "the model answered with nothing, twice"
        state.is_silent = not response.text.strip()
        if response.finish == "length":
            state.note("The answer is cut off: it reached the model's limit.")
        if response.finish == "content_filter":
            state.note("The model's server filtered the answer.")

    # -- the end -------------------------------------------------------------------------------------------------

    async def _finish(self, state: AskState) -> AskResult:
        """The result: where no answer came by itself, a last one is asked for, from what is there."""
        if state.answer is None and self._is_worth_asking(state):
            with anyio.move_on_after(max(0.0, self._deadline_monotonic_s - time.monotonic())):
                state.answer = await self._turns.last(state)
        result = ended(state, self._service)
        self._emit(Done(result))
        return result

    def _is_worth_asking(self, state: AskState) -> bool:
        has_failed = state.stop is StopReason.LLM_ERROR and state.repairs == 0
        fits = state.spent_tokens + self._turns.cost(state, last=True) <= self._bounds.max_tokens
        return bool(state.reports) and not has_failed and fits
