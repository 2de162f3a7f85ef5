"""Which `LLMService` the configuration means."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mcp_gateway.cache import Cache
from mcp_gateway.config.dotted import subclass
from mcp_gateway.llm.cached import CachedService
from mcp_gateway.llm.chat import OpenAIService
from mcp_gateway.llm.model_folder import ModelFolder
from mcp_gateway.llm.responses import ResponsesService
from mcp_gateway.llm.retrieval import RetrievalService
from mcp_gateway.llm.service import LLMService, Settings

SAMPLING: Final = "sampling"
"""Made anew for each call from its client; the service made here answers whoever cannot be asked."""

_PROVIDERS: Final[dict[str, type[LLMService]]] = {
    "openai": OpenAIService,
    "openai-responses": ResponsesService,
    "retrieval": RetrievalService,
    SAMPLING: RetrievalService,
}


def open_service(provider: str, settings: Settings, cache: Cache | None = None, *, ttl_s: float = 300.0) -> LLMService:
    """The service named, behind the cache where there is one, its embeddings from a folder where one is named.

    `auto` is openai with a key or an address. Raises BadConfig: no such provider.
    """
    if settings.embedding_folder is not None:
        plain = replace(settings, embedding_folder=None)
        return ModelFolder(open_service(provider, plain, cache, ttl_s=ttl_s), settings.embedding_folder)
    if provider == "auto":
        provider = "openai" if settings.api_key or settings.base_url else "retrieval"
    service = (_PROVIDERS.get(provider) or subclass("llm.provider", provider, LLMService))(settings)
    if cache is None or isinstance(service, RetrievalService):
        return service
    return CachedService(service, cache, ttl_s=ttl_s, always=settings.keeps_all)
