"""`CachedService`: another service's answers and embeddings, from the cache where they are known.

Answers are kept where the model was asked without randomness, or by opt-in, and only when they came whole.
Embeddings never go out of date. A cache that fails is a cache that does not know.
"""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, replace
from typing import Any, Final

import anyio.to_thread

from mcp_gateway.cache import Cache, Entry
from mcp_gateway.llm.messages import LLMChunk, LLMResponse, Request, TextDelta, ToolCall, Usage
from mcp_gateway.llm.service import LLMService
from mcp_gateway.wire import Malformed, encode, loads

FOREVER_S: Final = 100 * 365 * 86400.0
"""An embedding of a text by a model does not change; the cache's own bounds still make room."""

_WHOLE: Final = frozenset({"stop", "tool_calls"})


class CachedService(LLMService):
    """`service` behind `cache`, both given and the service closed with this. `ttl_s` is how old an answer may be."""

    def __init__(self, service: LLMService, cache: Cache, *, ttl_s: float, always: bool = False) -> None:
        """With `always`, answers of a model with temperature are kept too."""
        super().__init__(service.settings)
        self.mode = service.mode
        self.capabilities = service.capabilities
        self._service = service
        self._cache = cache
        self._ttl_s = ttl_s
        self._always = always
        self._identity = [type(service).__qualname__, service.settings.base_url, service.settings.model]

    @property
    def model(self) -> str:
        return self._service.model

    async def complete(self, request: Request) -> LLMResponse:
        key = self._answer_key(request)
        known = await self._known(key)
        if known is not None:
            return known
        response = await self._service.complete(request)
        self._keep(key, response)
        return response

    async def stream(self, request: Request) -> AsyncGenerator[LLMChunk, None]:
        key = self._answer_key(request)
        known = await self._known(key)
        if known is not None:
            if known.text:
                yield TextDelta(known.text)
            yield known
            return
        async with aclosing(self._service.stream(request)) as chunks:
            async for chunk in chunks:
                if isinstance(chunk, LLMResponse):
                    self._keep(key, chunk)
                yield chunk

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Each text once, and only those that nobody asked about before."""
        keys = {text: self._key("embedding float32", self._service.settings.embedding_model, text) for text in texts}
        kept = await self._entries(list(keys.values()))
        vectors = {text: vector for text, key in keys.items() if (vector := _vector(kept.get(key))) is not None}
        unknown = [text for text in keys if text not in vectors]
        if unknown:
            for text, vector in zip(unknown, await self._service.embed(unknown), strict=True):
                vectors[text] = vector
                self._keep_vector(keys[text], vector)
        return [vectors[text] for text in texts]

    async def prepare(self) -> None:
        await self._service.prepare()

    async def aclose(self) -> None:
        await self._service.aclose()

    # -- keys and values -----------------------------------------------------------------------------------------

    def _answer_key(self, request: Request) -> str | None:
        """Everything an answer depends on; None where it must not be kept."""
        temperature = self.settings.temperature if request.temperature is None else request.temperature
        if temperature > 0 and not self._always:
            return None
        said = json.dumps([list(request.messages), list(request.tools)], sort_keys=True)
        if request.nonce:
            said = said.replace(request.nonce, "nonce")
        return self._key("answer", said, request.tool_choice, temperature, request.max_tokens, request.scope)

    def _key(self, *parts: Any) -> str:
        return "llm:" + hashlib.sha256(json.dumps([*self._identity, *parts]).encode()).hexdigest()

    async def _known(self, key: str | None) -> LLMResponse | None:
        if key is None:
            return None
        found = await anyio.to_thread.run_sync(self._cache.get, key, self._ttl_s)
        return None if found is None else _response(found)

    def _keep(self, key: str | None, response: LLMResponse) -> None:
        if key is not None and response.finish in _WHOLE and (response.text or response.tool_calls):
            kept = asdict(replace(response, given_up=frozenset())) | {"given_up": sorted(response.given_up)}
            self._cache.set(key, encode(kept))

    async def _entries(self, keys: Sequence[str]) -> dict[str, Entry | None]:
        """What memory has at once, and of the rest what the second tier has."""
        found = await anyio.to_thread.run_sync(lambda: {key: self._cache.lookup(key) for key in keys})
        return {key: await self._cache.fetch(key) if entry is None else entry for key, entry in found.items()}

    def _keep_vector(self, key: str, vector: Sequence[float]) -> None:
        """In single precision, which is what models compute in; as text it would be five times as long."""
        now = time.time()
        self._cache.store(key, Entry(array("f", vector).tobytes(), now, now + FOREVER_S, now + FOREVER_S))


def _vector(entry: Entry | None) -> list[float] | None:
    numbers = array("f")
    try:
        numbers.frombytes(b"" if entry is None else entry.value)
    except ValueError:  # of another version's making
        return None
    return list(numbers) or None


def _response(kept: bytes) -> LLMResponse | None:
    """An answer as it was kept; the tokens were paid for then. None when it is of another version's making."""
    try:
        told = loads(kept)
        calls = tuple(ToolCall(**call) for call in told["tool_calls"])
        given_up = frozenset(told["given_up"])
        return LLMResponse(told["text"], calls, told["finish"], Usage(), told["model"], given_up, cached=True)
    except (Malformed, KeyError, TypeError):
        return None
