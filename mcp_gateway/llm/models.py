"""The model of the configuration in force; what it was before lives on for those who still use it."""

from __future__ import annotations

from collections.abc import Callable

from mcp_gateway.cache import Cache
from mcp_gateway.llm.providers import open_service
from mcp_gateway.llm.service import LLMService, Settings


class Models:
    """Opens services and closes all of them at the end. Configured before it is used."""

    def __init__(self, cache: Cache, *, ttl_s: float) -> None:
        self._cache = cache
        self._ttl_s = ttl_s
        self._current: LLMService | None = None
        self._opened: dict[tuple[str, Settings], LLMService] = {}

    @property
    def current(self) -> LLMService:
        assert self._current is not None, "configured at the start"
        return self._current

    def configure(self, provider: str, settings: Settings) -> None:
        """Make this the model. Raises BadConfig: no such provider."""
        self.prepare(provider, settings)()

    def prepare(self, provider: str, settings: Settings) -> Callable[[], None]:
        """What makes this the model, once it is called. Raises BadConfig: no such provider."""
        service = self._opened.get((provider, settings))
        if service is None:
            service = open_service(provider, settings, self._cache, ttl_s=self._ttl_s)
            self._opened[provider, settings] = service

        def use() -> None:
            self._current = service

        return use

    async def aclose(self) -> None:
        while self._opened:
            _, service = self._opened.popitem()
            await service.aclose()
