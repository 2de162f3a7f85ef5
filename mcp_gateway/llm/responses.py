"""`ResponsesService`: OpenAI's Responses API, for those who ask for it (`llm.provider: openai-responses`).

Nothing is kept at the service (`store: false`): each turn carries the whole conversation, as with Chat Completions,
so that loop and caches need not know the difference.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio

from mcp_gateway.errors import ModelUnavailable
from mcp_gateway.llm.assembly import Assembly
from mcp_gateway.llm.chat import CLOSE_WITHIN_S, OpenAIService
from mcp_gateway.llm.messages import LLMChunk, LLMResponse, Message, Request, TextDelta, Usage


class ResponsesService(OpenAIService):
    """The same service, asked in the other way. Embeddings are those of `OpenAIService`."""

    async def complete(self, request: Request) -> LLMResponse:
        payload = responses_payload(await self._client.model(), request, self.settings.temperature)
        client = await self._client.get()
        answer, given_up = await self._bargain(payload, client.responses.create)
        with self._client.translated():
            return replace(_whole(answer), given_up=given_up)

    async def stream(self, request: Request) -> AsyncGenerator[LLMChunk, None]:
        payload = responses_payload(await self._client.model(), request, self.settings.temperature)
        client = await self._client.get()
        answer, given_up = await self._bargain(payload | {"stream": True}, client.responses.create)
        async with aclosing(self._events(answer)) as events:
            async for event in events:
                yield replace(event, given_up=given_up) if isinstance(event, LLMResponse) else event
                if isinstance(event, LLMResponse):
                    return
        raise ModelUnavailable("the model's server broke off in the middle of an answer")

    async def _events(self, answer: Any) -> AsyncGenerator[LLMChunk, None]:
        with self._client.translated():
            try:
                async for event in answer:
                    if event.type == "response.output_text.delta":
                        yield TextDelta(event.delta)
                    elif event.type in ("response.completed", "response.incomplete"):
                        yield _whole(event.response)
                    elif event.type in ("response.failed", "error"):
                        raise ModelUnavailable("the model's server reports that the answer failed")
            finally:
                with anyio.move_on_after(CLOSE_WITHIN_S, shield=True):
                    await answer.close()


def responses_payload(model: str, request: Request, temperature: float) -> dict[str, Any]:
    """The request in the other API's terms."""
    payload: dict[str, Any] = {
        "model": model,
        "input": [item for message in request.messages for item in _items(message)],
        "temperature": temperature if request.temperature is None else request.temperature,
        "store": False,
    }
    if request.max_tokens is not None:
        payload["max_output_tokens"] = request.max_tokens
    if request.tools:
        functions = [{"type": "function", **tool["function"], "strict": False} for tool in request.tools]
        payload |= {"tools": functions, "tool_choice": request.tool_choice, "parallel_tool_calls": True}
    return payload


def _items(message: Message) -> list[dict[str, Any]]:
    if message["role"] == "tool":
        return [{"type": "function_call_output", "call_id": message["tool_call_id"], "output": message["content"]}]
    said = [{"role": message["role"], "content": message["content"]}] if message.get("content") else []
    calls = [
        {"type": "function_call", "call_id": call["id"], **call["function"]} for call in message.get("tool_calls", ())
    ]
    return [*said, *calls]


def _whole(response: Any) -> LLMResponse:
    """Raises what Python raises when the answer is no response."""
    assembly = Assembly()
    for item in response.output:
        if item.type == "message":
            for part in item.content:
                assembly.add_text(getattr(part, "text", "") or "")
        elif item.type == "function_call":
            assembly.add_call(None, item.call_id, item.name, item.arguments)
    assembly.finish("length" if response.status == "incomplete" else "stop")
    assembly.model = response.model or ""
    if response.usage is not None:
        assembly.usage = Usage(response.usage.input_tokens or 0, response.usage.output_tokens or 0)
    return assembly.response()
