"""`OpenAIService`: any server that speaks OpenAI's Chat Completions and embeddings.

Compatible servers differ; what one refuses is given up and remembered (`concessions`). A stream that has begun is
never started again silently.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import anyio

from mcp_gateway.errors import ModelRefused, ModelUnavailable
from mcp_gateway.llm.assembly import Assembly, plain_text
from mcp_gateway.llm.client import Client, reason_of
from mcp_gateway.llm.concessions import REFUSALS, concession, without
from mcp_gateway.llm.messages import LLMChunk, LLMResponse, Request, TextDelta, Usage
from mcp_gateway.llm.service import Capabilities, LLMService, Settings

logger = logging.getLogger(__name__)

EMBEDDINGS_AT_ONCE: Final = 128
"""Texts in one request; services take from 128 to 2,048 (our choice: the least)."""

CLOSE_WITHIN_S: Final = 1.0
"""Giving a connection back takes no time; a loop that is being stopped must not wait for it (our choice)."""


class OpenAIService(LLMService):
    """Chat Completions. The library's client is made at the first use."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings)
        self.capabilities = Capabilities(streaming=True, embeddings=bool(self.settings.embedding_model))
        self._client = Client(self.settings)
        self._given_up: frozenset[str] = frozenset()

    async def complete(self, request: Request) -> LLMResponse:
        payload = chat_payload(await self._client.model(), request, self.settings.temperature)
        client = await self._client.get()
        answer, given_up = await self._bargain(payload, client.chat.completions.create)
        with self._client.translated():
            return _whole(answer, given_up)

    async def stream(self, request: Request) -> AsyncGenerator[LLMChunk, None]:
        payload = chat_payload(await self._client.model(), request, self.settings.temperature)
        payload |= {"stream": True, "stream_options": {"include_usage": True}}
        client = await self._client.get()
        answer, given_up = await self._bargain(payload, client.chat.completions.create)
        assembly = Assembly()
        async with aclosing(self._pieces(answer, assembly)) as pieces:
            async for text in pieces:
                yield TextDelta(text)
        if not assembly.is_complete:
            raise ModelUnavailable("the model's server broke off in the middle of an answer")
        yield _noted(assembly.response(), given_up)

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        model = self.settings.embedding_model
        if model is None:
            raise ModelRefused("no embedding model is named: set llm.embedding_model")
        client = await self._client.get()
        vectors: list[list[float]] = []
        for start in range(0, len(texts), EMBEDDINGS_AT_ONCE):
            batch = list(texts[start : start + EMBEDDINGS_AT_ONCE])
            # As numbers: the library asks for base64 by itself, which many servers do not know.
            with self._client.translated(), anyio.fail_after(self.settings.timeout_s):
                answer = await client.embeddings.create(model=model, input=batch, encoding_format="float")
                vectors += _vectors(answer, len(batch))
        return vectors

    async def prepare(self) -> None:
        await self._client.get()

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _bargain(
        self, payload: dict[str, Any], send: Callable[..., Awaitable[Any]]
    ) -> tuple[Any, frozenset[str]]:
        """The server's answer, and what it took to get it. What is given up once is left out from then on."""
        while True:
            offered = without(payload, self._given_up)
            with self._client.translated():
                try:
                    with anyio.fail_after(self.settings.timeout_s):
                        answer = await send(**offered)
                except Exception as failed:  # boundary: the library; all but a bargain goes on to be translated
                    status = getattr(failed, "status_code", None)
                    field = concession(offered, reason_of(failed)) if status in REFUSALS else None
                    if field is None:
                        raise
                    logger.info("llm.conceded field=%s status=%s", field, status)
                    self._given_up |= {field}
                    continue
                return answer, self._given_up & payload.keys()

    async def _pieces(self, answer: Any, assembly: Assembly) -> AsyncGenerator[str, None]:
        """The texts of a stream, while everything goes into `assembly`; the connection is given back at the end."""
        with self._client.translated():
            try:
                async for chunk in answer:
                    for text in _take(chunk, assembly):
                        yield text
                    if assembly.is_full:
                        assembly.cut()
                        return
            finally:
                with anyio.move_on_after(CLOSE_WITHIN_S, shield=True):
                    await answer.close()


def chat_payload(model: str, request: Request, temperature: float) -> dict[str, Any]:
    """The request as Chat Completions has it. Without tools nothing about tools may be said (vLLM answers 400)."""
    payload: dict[str, Any] = {
        "model": model,
        "messages": list(request.messages),
        "temperature": temperature if request.temperature is None else request.temperature,
    }
    if request.max_tokens is not None:
        payload["max_tokens"] = request.max_tokens
    if request.tools:
        payload |= {"tools": list(request.tools), "tool_choice": request.tool_choice, "parallel_tool_calls": True}
    return payload


def _whole(answer: Any, given_up: frozenset[str]) -> LLMResponse:
    """Raises what Python raises when the answer is no completion."""
    assembly = Assembly()
    choice = answer.choices[0]
    assembly.add_text(plain_text(choice.message.content))
    for index, call in enumerate(choice.message.tool_calls or ()):
        assembly.add_call(index, call.id, call.function.name, call.function.arguments)
    assembly.finish(choice.finish_reason)
    _count(answer, assembly)
    return _noted(assembly.response(), given_up)


def _take(chunk: Any, assembly: Assembly) -> list[str]:
    """One piece of a stream: the texts in it."""
    _count(chunk, assembly)
    texts = []
    for choice in chunk.choices or ():
        if choice.delta is not None:
            if text := plain_text(choice.delta.content):
                assembly.add_text(text)
                texts.append(text)
            for call in choice.delta.tool_calls or ():
                function = call.function
                assembly.add_call(
                    call.index, call.id, function.name if function else None, function.arguments if function else None
                )
        assembly.finish(choice.finish_reason)
    return texts


def _count(answer: Any, assembly: Assembly) -> None:
    assembly.model = getattr(answer, "model", None) or assembly.model
    usage = getattr(answer, "usage", None)
    if usage is not None:
        assembly.usage = Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0)


def _noted(response: LLMResponse, given_up: frozenset[str]) -> LLMResponse:
    return replace(response, given_up=given_up)


def _vectors(answer: Any, count: int) -> list[list[float]]:
    placed = sorted(answer.data, key=lambda item: item.index)
    if len(placed) != count:
        raise ModelUnavailable(f"the model's server sent {len(placed)} embeddings for {count} texts")
    return [[float(number) for number in item.embedding] for item in placed]
