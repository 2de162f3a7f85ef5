"""HTTP for search providers: what they may fetch, and how their answers are read.

A request enters, an `Answer` or a `ProviderFailed` leaves. `fetch` bounds it and keeps it from where it must not go.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from mcp_gateway.fetch import Fetcher, FetchFailed, Resolve, resolve
from mcp_gateway.wire import Malformed, check, loads

MAX_BODY_BYTES = 2 * 1024**2
"""Largest answer that is read; 20 results are about 50 kB (our choice)."""


class ProviderFailed(Exception):
    """A search service gave no result; the text says why and what mends it, and holds neither key nor URL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after(self) -> str | None:
        """Seconds to wait, as the service says; None when it does not say, or says it otherwise."""
        value = self.headers.get("retry-after", "")
        return value if value.isdecimal() and len(value) < 6 else None

    def json(self) -> Any:
        """Decode strictly. Raises ProviderFailed."""
        try:
            check(self.body)
            return loads(self.body)
        except Malformed:
            raise ProviderFailed("its answer is not JSON; is the url that of a search service?") from None


class Web:
    """HTTP for providers. Proxies come from `environ` (`HTTPS_PROXY`, `NO_PROXY`), as for every upstream."""

    def __init__(self, environ: Mapping[str, str] = os.environ, resolve: Resolve = resolve) -> None:
        self._fetcher = Fetcher(MAX_BODY_BYTES, environ, resolve)

    async def get(self, url: str, params: Mapping[str, str], timeout_s: float, **headers: str) -> Answer:
        """GET with a query string; `x_name=` becomes the header `x-name`. Raises ProviderFailed."""
        return await self._send("GET", httpx2.URL(url).copy_merge_params(params), timeout_s, headers)

    async def post(self, url: str, body: Any, timeout_s: float, **headers: str) -> Answer:
        """POST of JSON. Raises ProviderFailed."""
        return await self._send("POST", httpx2.URL(url), timeout_s, headers, body)

    async def _send(
        self, method: str, url: httpx2.URL, timeout_s: float, headers: Mapping[str, str], body: Any = None
    ) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            got = await self._fetcher.send(method, url, timeout_s, named, body)
        except FetchFailed as failed:
            raise ProviderFailed(str(failed)) from None
        return Answer(got.status, got.headers, got.body)
