"""The keys of an authorization server: fetched when a token needs one, kept, and renewed now and then.

A key's name enters, the key or None leaves. No fault of the issuer reaches a caller: what is known goes on working.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

import anyio

from mcp_gateway.fetch import Fetcher, FetchFailed
from mcp_gateway.security.addresses import is_confidential
from mcp_gateway.security.jwt import BadKeySet, KeyName, KeySet, PublicKey, key_set

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 256 * 1024
"""Of a set of keys, and of metadata; real ones are below 10 kB (our choice)."""
TIMEOUT_S: Final = 5.0
"""For all documents that it takes to get the keys; a caller waits for them (our choice)."""
FRESH_S: Final = 3600.0
"""After this the keys are fetched again with the next token, so that withdrawn ones end (our choice)."""
RENEW_S: Final = 60.0
"""At most this often, whatever key ids strangers make up (our choice)."""
RETRY_S: Final = 5.0
"""Instead, while there is no key at all: nobody can come in (our choice)."""


class Issuer:
    """One authorization server. `jwks_url` is where its keys are, None to ask its metadata (RFC 8414, OpenID)."""

    def __init__(
        self,
        issuer: str,
        jwks_url: str | None = None,
        fetcher: Fetcher | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._issuer = issuer
        self._jwks_url = jwks_url
        self._fetcher = fetcher or Fetcher(MAX_BYTES)
        self._monotonic = monotonic
        self._timeout_s = timeout_s
        self._keys = KeySet()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = anyio.Lock()

    async def key(self, name: KeyName) -> PublicKey | None:
        """The key of that name, fetched by the first who asks. Those who can do without do not wait for another's."""
        known = self._keys.find(name)
        if known is not None and (self._fetching.locked() or not self._is_stale()):
            return known
        async with self._fetching:
            if self._is_due(name):
                await self._renew()
        return self._keys.find(name)

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._monotonic() - self._fetched_at >= FRESH_S

    def _is_due(self, name: KeyName) -> bool:
        pause_s = RENEW_S if self._keys.keys else RETRY_S
        if self._tried_at is not None and self._monotonic() - self._tried_at < pause_s:
            return False
        return self._is_stale() or self._keys.find(name) is None

    async def _renew(self) -> None:
        """A caller that leaves meanwhile leaves no trace: the next one tries at once."""
        try:
            with anyio.fail_after(self._timeout_s):
                self._keys = key_set(await self._get(self._jwks_url or await self._discovered()))
            self._fetched_at = self._monotonic()
            logger.info("oauth.keys.ready issuer=%s keys=%d", self._issuer, len(self._keys.keys))
        except (FetchFailed, BadKeySet, TimeoutError) as failed:
            reason = str(failed) or f"no answer within {self._timeout_s:g} s"
            logger.warning("oauth.keys.failed issuer=%s reason=%s kept=%d", self._issuer, reason, len(self._keys.keys))
        self._tried_at = self._monotonic()

    async def _discovered(self) -> str:
        """Where the issuer says that its keys are. Raises FetchFailed."""
        failure = FetchFailed("it has no metadata")
        for url in metadata_urls(self._issuer):
            try:
                return _jwks_url(await self._get(url), self._issuer)
            except FetchFailed as failed:
                failure = failed
        raise failure

    async def _get(self, url: str) -> bytes:
        if not is_confidential(url):
            raise FetchFailed("its address is neither https nor this machine's")
        answer = await self._fetcher.send("GET", url, self._timeout_s)
        if answer.status != 200:
            raise FetchFailed(f"it answered {answer.status}")
        return answer.body


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """In the order of the specification (MCP 2025-11-25, basic/authorization, "Metadata Discovery")."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(urls))


def _jwks_url(body: bytes, issuer: str) -> str:
    """Raises FetchFailed, also for the metadata of another issuer (RFC 8414, section 3.3)."""
    try:
        metadata = json.loads(body)
        named, url = metadata["issuer"], metadata["jwks_uri"]
        urlsplit(url)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise FetchFailed("its metadata names no keys") from None
    if named != issuer:
        raise FetchFailed("its metadata is that of another issuer; write the issuer as its tokens do")
    return str(url)
