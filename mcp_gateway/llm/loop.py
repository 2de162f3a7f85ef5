"""The ask loop: a model's turns and the calls between them, within bounds, until there is an answer.

A state enters; a result leaves, or a question to a person with the state waiting for its answer. Whatever happens,
what was found is not thrown away.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import anyio

from mcp_gateway.errors import GatewayError, ModelUnavailable
from mcp_gateway.llm.bounds import (
    BYTES_PER_TOKEN,
    RESERVE_AT_MOST_S,
    RESERVE_SHARE,
    TURN_TOKENS,
    Bounds,
    StopReason,
)
from mcp_gateway.llm.client import TooLong
from mcp_gateway.llm.ending import ended
from mcp_gateway.llm.events import Delta, Done, Emit, Failed, Status
from mcp_gateway.llm.messages import LLMResponse, Messages, Request, TextDelta, function, tool, user
from mcp_gateway.llm.planning import Policy, plan_round, settle_confirmations
from mcp_gateway.llm.prompt import FIND_TOOLS, FIND_TOOLS_DESCRIPTION, FIND_TOOLS_SCHEMA, LAST_WORDS
from mcp_gateway.llm.result import AskResult
from mcp_gateway.llm.running import Runner, Search
from mcp_gateway.llm.service import LLMService
from mcp_gateway.llm.state import AskState, Planned
from mcp_gateway.llm.toolbox import SMALL
from mcp_gateway.wire import encode

logger = logging.getLogger(__name__)

_SHRINK_TO: Final = 4
"""A conversation that is too long for the model keeps a quarter of every tool's answer."""


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
        self._scope = scope

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
            response = await self._turn(state)
            if response is None:
                break
            if not response.tool_calls:
                await self._take_answer(state, response)
                break
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
            self._without_tools(state)

    def _bound(self, state: AskState) -> StopReason | None:
        """The bound that another turn with tools would break."""
        if state.rounds >= self._bounds.max_rounds:
            return StopReason.MAX_ROUNDS
        if state.spent_bytes >= self._bounds.max_bytes:
            return StopReason.MAX_BYTES
        if state.spent_tokens + _tokens(self._request(state)) > self._bounds.max_tokens:
            return StopReason.MAX_TOKENS
        return None

    async def _take_answer(self, state: AskState, response: LLMResponse) -> None:
        """Text is the answer; nothing at all is asked for once more."""
        if not response.text.strip():
            again = await self._turn(state, fresh=True)
            if again is None:
                return
            if again.tool_calls or not again.text.strip():
                state.stop, state.error = StopReason.LLM_ERROR, "the model answered with nothing, twice"
                return
            response = again
        if response.finish == "length":
            state.note("The answer is cut off: it reached the model's limit.")
        if response.finish == "content_filter":
            state.note("The model's server filtered the answer.")
        state.answer = response.text

    async def _turn(self, state: AskState, *, fresh: bool = False) -> LLMResponse | None:
        """One turn; None when the model failed, which the state then says. `fresh` must not come from a cache."""
        self._emit(Status("asking the model"))
        request = self._request(state, nudge="Please answer." if fresh else None)
        try:
            return await self._said(state, request)
        except TooLong as failed:
            return await self._shortened(state, failed)
        except GatewayError as failed:
            self._fail(state, failed)
            return None

    async def _shortened(self, state: AskState, failed: GatewayError) -> LLMResponse | None:
        """Once more with shorter answers of the tools; without any there is nothing to shorten."""
        if not any(message["role"] == "tool" for message in state.messages):
            self._fail(state, failed)
            return None
        state.messages = [_shorter(message) for message in state.messages]
        state.note("Results of tools were shortened to fit into the model.")
        try:
            return await self._said(state, self._request(state))
        except GatewayError as again:
            self._fail(state, again)
            return None

    async def _said(self, state: AskState, request: Request) -> LLMResponse:
        """The model's turn, its costs counted. Raises GatewayError."""
        state.partial = ""
        try:
            with anyio.fail_after(self._bounds.turn_s):
                response = await self._received(state, request)
        except TimeoutError:
            raise ModelUnavailable(f"the model did not answer within {self._bounds.turn_s:g} s") from None
        except GatewayError:
            raise
        except Exception:  # boundary: a provider that is not ours
            logger.exception("ask.provider_failed service=%s", type(self._service).__name__)
            raise ModelUnavailable("the model's provider failed; the log has more") from None
        finally:
            state.spent_tokens += _tokens(request)
        self._count(state, request, response)
        return response

    async def _received(self, state: AskState, request: Request) -> LLMResponse:
        if not self._service.capabilities.streaming:
            response = await self._service.complete(request)
            if response.text:
                self._emit(Delta(response.text))
            return response
        async with aclosing(self._service.stream(request)) as chunks:
            async for chunk in chunks:
                if not isinstance(chunk, TextDelta):
                    return chunk
                state.partial += chunk.text
                self._emit(Delta(chunk.text))
        raise ModelUnavailable("the model's provider ended without a response")

    def _count(self, state: AskState, request: Request, response: LLMResponse) -> None:
        """Tokens as told, in place of the estimate that was taken before; what the cache knew costs nothing."""
        state.usage += response.usage
        state.model = response.model or state.model
        estimated = _tokens(request)
        if response.cached:
            state.spent_tokens -= estimated
        elif response.usage.total:
            state.spent_tokens += response.usage.total - estimated
        else:
            state.spent_tokens += len(response.text) // BYTES_PER_TOKEN
        if "tools" in response.given_up:
            self._without_tools(state)

    def _request(self, state: AskState, *, last: bool = False, nudge: str | None = None) -> Request:
        messages: Messages = [*state.messages, user(nudge)] if nudge else list(state.messages)
        left = self._bounds.max_tokens - state.spent_tokens
        return Request(
            messages=[*messages, user(LAST_WORDS)] if last else messages,
            tools=self._functions(state) if state.takes_tools else (),
            tool_choice="none" if last else "auto",
            max_tokens=max(256, min(TURN_TOKENS, left)),
            scope=self._scope,
            nonce=state.nonce,
        )

    def _functions(self, state: AskState) -> list[dict[str, object]]:
        tools = state.toolbox.tools
        offered = [dict(tools[name].function) for name in state.offered or ()]
        if len(tools) > len(offered) and FIND_TOOLS not in tools:
            offered.append(dict(function(FIND_TOOLS, FIND_TOOLS_DESCRIPTION, FIND_TOOLS_SCHEMA)))
        return offered

    def _without_tools(self, state: AskState) -> None:
        state.takes_tools = False
        if state.toolbox.tools:
            state.note("The model takes no tools: it answered from what it knows.")

    def _fail(self, state: AskState, failed: GatewayError) -> None:
        logger.info("ask.model_failed code=%s", failed.code)
        state.stop, state.error, state.error_code = StopReason.LLM_ERROR, failed.message, failed.code
        self._emit(Failed(failed.message))

    # -- the end -------------------------------------------------------------------------------------------------

    async def _finish(self, state: AskState) -> AskResult:
        """The result: where no answer came by itself, a last one is asked for, from what is there."""
        if state.answer is None and self._is_worth_asking(state):
            with anyio.move_on_after(max(0.0, self._deadline_monotonic_s - time.monotonic())):
                state.answer = await self._last_answer(state)
        result = ended(state, self._service)
        self._emit(Done(result))
        return result

    def _is_worth_asking(self, state: AskState) -> bool:
        has_failed = state.stop is StopReason.LLM_ERROR and state.repairs == 0
        fits = state.spent_tokens + _tokens(self._request(state, last=True)) <= self._bounds.max_tokens
        return bool(state.reports) and not has_failed and fits

    async def _last_answer(self, state: AskState) -> str | None:
        """With tools forbidden; a model that calls them all the same is asked once more without any."""
        self._emit(Status("asking the model for its answer"))
        stopped, error = state.stop, state.error
        for _ in range(2):
            try:
                response = await self._said(state, self._request(state, last=True))
            except GatewayError as failed:
                state.stop, state.error = stopped, error or failed.message
                return None
            if response.text.strip():
                return response.text
            state.takes_tools = False
        return None


def _tokens(request: Request) -> int:
    """A rough count of what is about to be sent."""
    return len(encode([list(request.messages), list(request.tools)])) // BYTES_PER_TOKEN


def _shorter(message: object) -> dict[str, object]:
    assert isinstance(message, dict)
    if message["role"] != "tool":
        return message
    text = message["content"]
    return dict(tool(message["tool_call_id"], text[: max(400, len(text) // _SHRINK_TO)]))
