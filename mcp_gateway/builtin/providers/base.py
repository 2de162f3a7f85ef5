"""What a web search provider gets and gives.

A provider is one async function of a source, a query and the web; it returns a `Page` of hits as the service sent
them, or raises `ProviderFailed` with a sentence that helps. Cleaning, merging and ranking happen elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_gateway.builtin.providers.web import Answer, Web
from mcp_gateway.builtin.providers.web import ProviderFailed as ProviderFailed


@dataclass(frozen=True, slots=True)
class Source:
    """One configured provider. `type` is its name in the table, or `package.module:function`."""

    type: str
    url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for, and how many results are wanted."""

    text: str
    limit: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One result as the service sent it: nothing in it is trusted."""

    title: str
    url: str
    snippet: str = ""
    source: str = ""
    published: str | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """What one service answered to one query."""

    hits: tuple[Hit, ...] = ()
    answer: str | None = None
    warnings: tuple[str, ...] = ()


Provider = Callable[[Source, Query, Web], Awaitable[Page]]


def required(value: str | None, what: str) -> str:
    """A setting the provider cannot do without. Raises ProviderFailed."""
    if not value:
        raise ProviderFailed(f"it has no {what}; set {what} in its entry of tools.search.providers")
    return value


def accepted(answer: Answer, hints: Mapping[int, str]) -> Any:
    """The JSON of a good answer. `hints` says what a status means at this service.

    Raises ProviderFailed.
    """
    if answer.status == 200:
        return answer.json()
    if answer.status in hints:
        raise ProviderFailed(f"HTTP {answer.status}: {hints[answer.status]}")
    if answer.status == 429:
        wait = f"; it asks to wait {answer.retry_after} s" if answer.retry_after else ""
        raise ProviderFailed(f"HTTP 429: its rate limit is reached{wait}")
    raise ProviderFailed(f"it answered HTTP {answer.status}")


def members(value: Any, *path: str) -> Any:
    """The value below a path of keys; None where one is missing or no object."""
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; anything else is left out."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) else None
