"""A model's turns within one ask: what it is sent, what comes back, what that cost.

The state enters; the response leaves, or None when the model failed and the state says so. Tools are only offered here,
never called.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import Final

import anyio

from mcp_gateway.errors import GatewayError, ModelUnavailable
from mcp_gateway.llm.bounds import BYTES_PER_TOKEN, TURN_TOKENS, Bounds, StopReason
from mcp_gateway.llm.client import TooLong
from mcp_gateway.llm.events import Delta, Emit, Failed, Status
from mcp_gateway.llm.messages import LLMResponse, Request, TextDelta, function, tool, user
from mcp_gateway.llm.prompt import FIND_TOOLS, FIND_TOOLS_DESCRIPTION, FIND_TOOLS_SCHEMA, LAST_WORDS, NUDGE
from mcp_gateway.llm.service import LLMService
from mcp_gateway.llm.state import AskState
from mcp_gateway.wire import encode

logger = logging.getLogger(__name__)

LEAST_TURN_TOKENS: Final = 256
"""A turn has room for a few sentences, however little of the budget is left (our choice)."""

_SHRINK_TO: Final = 4
"""A conversation that is too long for the model keeps a quarter of every tool's answer."""


class Turns:
    """Asks one model. `scope` names whose answers its cache may mix."""

    def __init__(self, service: LLMService, bounds: Bounds, emit: Emit, scope: str) -> None:
        self._service = service
        self._bounds = bounds
        self._emit = emit
        self._scope = scope

    async def take(self, state: AskState) -> LLMResponse | None:
        """One turn; None when the model failed, which the state then says."""
        self._emit(Status("asking the model"))
        try:
            return await self._said(state, self._request(state))
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
            without_tools(state)

    def _request(self, state: AskState, *, last: bool = False) -> Request:
        urging = [user(LAST_WORDS)] if last else [user(NUDGE)] if state.is_silent else []
        left = self._bounds.max_tokens - state.spent_tokens
        return Request(
            messages=[*state.messages, *urging],
            tools=self._functions(state) if state.takes_tools else (),
            tool_choice="none" if last else "auto",
            max_tokens=max(LEAST_TURN_TOKENS, min(TURN_TOKENS, left)),
            scope=self._scope,
            nonce=state.nonce,
        )

    def _functions(self, state: AskState) -> list[dict[str, object]]:
        tools = state.toolbox.tools
        offered = [dict(tools[name].function) for name in state.offered or ()]
        if len(tools) > len(offered) and FIND_TOOLS not in tools:
            offered.append(dict(function(FIND_TOOLS, FIND_TOOLS_DESCRIPTION, FIND_TOOLS_SCHEMA)))
        return offered

    def _fail(self, state: AskState, failed: GatewayError) -> None:
        logger.info("ask.model_failed code=%s", failed.code)
        state.stop, state.error, state.error_code = StopReason.LLM_ERROR, failed.message, failed.code
        self._emit(Failed(failed.message))

    async def last(self, state: AskState) -> str | None:
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

    def cost(self, state: AskState, *, last: bool = False) -> int:
        """Tokens of the next request, roughly."""
        return _tokens(self._request(state, last=last))


def without_tools(state: AskState) -> None:
    """From now on the model is shown no tools, and the caller is told."""
    state.takes_tools = False
    if state.toolbox.tools:
        state.note("The model takes no tools: it answered from what it knows.")


def _tokens(request: Request) -> int:
    """A rough count of what is about to be sent."""
    return len(encode([list(request.messages), list(request.tools)])) // BYTES_PER_TOKEN


def _shorter(message: object) -> dict[str, object]:
    assert isinstance(message, dict)
    if message["role"] != "tool":
        return message
    text = message["content"]
    return dict(tool(message["tool_call_id"], text[: max(400, len(text) // _SHRINK_TO)]))
