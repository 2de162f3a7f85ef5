"""The model of the configuration in force; what it was before lives on for those who still use it."""

from __future__ import annotations

from mcp_gateway.cache import Cache
from mcp_gateway.llm.providers import open_service
from mcp_gateway.llm.service import LLMService, Settings


class Models:
    """Opens services and closes all of them at the end. Configured before it is used."""

    def __init__(self, cache: Cache, *, ttl_s: float) -> None:
        self._cache = cache
        self._ttl_s = ttl_s
        self._asked: tuple[str, Settings] | None = None
        self._opened: list[LLMService] = []

    @property
    def current(self) -> LLMService:
        assert self._opened, "configured at the start"
        return self._opened[-1]

    def configure(self, provider: str, settings: Settings) -> None:
        """Make this the model, unless it is already. Raises BadConfig: no such provider."""
        if self._asked == (provider, settings):
            return
        self._opened.append(open_service(provider, settings, self._cache, ttl_s=self._ttl_s))
        self._asked = provider, settings

    async def aclose(self) -> None:
        while self._opened:
            await self._opened.pop().aclose()
