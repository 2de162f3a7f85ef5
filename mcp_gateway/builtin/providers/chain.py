"""Which provider answers: they are tried in order, and the reasons of those that failed are kept.

Queries enter; hits, the providers that gave them, and warnings leave. Several queries run side by side.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name

import anyio

from mcp_gateway.builtin.providers import duckduckgo
from mcp_gateway.builtin.providers.base import Hit, Page, Provider, ProviderFailed, Query, Source
from mcp_gateway.builtin.providers.brave import brave
from mcp_gateway.builtin.providers.clean import MAX_SNIPPET_CHARS, merged, plain
from mcp_gateway.builtin.providers.searxng import searxng
from mcp_gateway.builtin.providers.tavily import tavily
from mcp_gateway.builtin.providers.web import Web
from mcp_gateway.errors import SearchUnavailable

logger = logging.getLogger(__name__)

PROVIDERS: Mapping[str, Provider] = {
    "searxng": searxng,
    "brave": brave,
    "tavily": tavily,
    "ddgs": duckduckgo.ddgs,
}

ENVIRONMENT: Mapping[str, str] = {"SEARXNG_URL": "searxng", "BRAVE_API_KEY": "brave", "TAVILY_API_KEY": "tavily"}
"""Variables that make a provider available when none is configured, in order of preference."""

AT_ONCE = 4
"""Queries of one call that are under way together: services limit rates (our choice)."""

NO_PROVIDER = (
    "no web search provider is configured: set tools.search.providers in gateway.yaml, or one of "
    f"{', '.join(ENVIRONMENT)} in the environment, or pip install 'mcp-gateway-server[ddgs]'"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What the web answered. `providers` are those that gave results, without doubles."""

    hits: Sequence[Hit]
    providers: Sequence[str]
    answer: str | None
    warnings: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Outcome:
    page: Page | None
    provider: str | None
    failures: tuple[str, ...]


def sources(configured: Sequence[Source], environ: Mapping[str, str]) -> tuple[Source, ...]:
    """The providers to try: those configured, else the first that the environment names, else ddgs if installed."""
    if configured:
        return tuple(configured)
    for variable, kind in ENVIRONMENT.items():
        if value := environ.get(variable):
            return (Source(kind, url=value) if kind == "searxng" else Source(kind, api_key=value),)
    return (Source("ddgs"),) if duckduckgo.installed() else ()


class WebSearch:
    """Asks `providers` in order for every query."""

    def __init__(self, providers: Sequence[Source], web: Web) -> None:
        self.providers = tuple(providers)
        self._web = web

    async def search(self, queries: Sequence[str], limit: int, deadline_s: float) -> Found:
        """The merged results of all queries, at most `limit`.

        Raises SearchUnavailable when no query was answered; the message says what each provider said.
        """
        if not self.providers:
            raise SearchUnavailable(NO_PROVIDER)
        outcomes: list[_Outcome] = [_Outcome(None, None, (f"no answer within {deadline_s:g} s",))] * len(queries)
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def ask(position: int) -> None:
            async with limiter:
                outcomes[position] = await self._first(Query(queries[position], limit))

        with anyio.move_on_after(deadline_s):
            async with anyio.create_task_group() as group:
                for position in range(len(queries)):
                    group.start_soon(ask, position)
        return _found(outcomes, limit)

    async def _first(self, query: Query) -> _Outcome:
        failures: list[str] = []
        for source in self.providers:
            try:
                page = await _ask(source, query, self._web)
            except ProviderFailed as failed:
                logger.info("search.provider_failed provider=%s reason=%s", source.type, failed)
                failures.append(f"{source.type}: {failed}")
            else:
                return _Outcome(page, source.type, tuple(failures))
        return _Outcome(None, None, tuple(failures))


async def _ask(source: Source, query: Query, web: Web) -> Page:
    if provider := PROVIDERS.get(source.type):
        return await provider(source, query, web)
    try:
        own: Provider = resolve_name(source.type)
        return await own(source, query, web)
    except ProviderFailed:
        raise
    except Exception as error:  # boundary: a provider of the operator's own may raise anything
        logger.exception("search.own_provider_failed provider=%s", source.type)
        raise ProviderFailed(f"it raised {type(error).__name__}; the gateway's log has the traceback") from None


def _found(outcomes: Sequence[_Outcome], limit: int) -> Found:
    warnings = list(dict.fromkeys(failure for outcome in outcomes for failure in outcome.failures))
    pages = [outcome.page for outcome in outcomes if outcome.page is not None]
    if not pages:
        raise SearchUnavailable(f"no web search provider answered; {'; '.join(warnings)}")
    answers = [plain(page.answer, MAX_SNIPPET_CHARS) for page in pages if page.answer]
    said = dict.fromkeys(plain(warning, MAX_SNIPPET_CHARS) for page in pages for warning in page.warnings)
    return Found(
        hits=merged([page.hits for page in pages], limit),
        providers=list(dict.fromkeys(outcome.provider for outcome in outcomes if outcome.provider is not None)),
        answer=answers[0] if answers else None,
        warnings=[*warnings, *said],
    )
