"""Requests to an authorization server: over https, bounded, and never with what a redirect would carry elsewhere.

URLs, forms and documents enter, checked bodies leave. What they say is not known here. An answer's own words reach
no message, except the error codes of RFC 6749.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from mcp_gateway.errors import GatewayError, UpstreamAuth, UpstreamUnavailable
from mcp_gateway.fetch import Answer, Fetcher, FetchFailed, Resolve, resolve
from mcp_gateway.security.addresses import is_confidential, is_loopback

MAX_BYTES: Final = 256 * 1024
"""Of any answer; real ones are below 20 kB (our choice)."""
TIMEOUT_S: Final = 10.0
"""Of any request (our choice)."""

_ERROR = re.compile(r"[a-z_]{1,64}")


class Declined(Exception):
    """The authorization server said no; `error` is its code (RFC 6749, section 5.2; RFC 7591, section 3.2.2)."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class AuthorizationWire:
    """The way to whatever authorization server one upstream names.

    Addresses are https. Only an upstream of this machine may name one of this machine, over http too: others could
    have us ask services that they cannot reach (R-SSRF-1).
    """

    def __init__(
        self,
        server: str,
        url: str,
        environ: Mapping[str, str],
        *,
        resolve: Resolve = resolve,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.server = server
        self._is_local = is_loopback(urlsplit(url).hostname or "")
        self._timeout_s = timeout_s
        self._fetcher = Fetcher(MAX_BYTES, environ, resolve if self._is_local else _outside(resolve))

    async def document(self, url: str) -> bytes | None:
        """What is at a well-known place; None when nothing is. Raises UpstreamUnavailable, UpstreamAuth."""
        answer = await self._send("GET", url)
        return answer.body if answer.status == 200 else None

    async def post_form(self, url: str, form: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        """Raises Declined, UpstreamUnavailable, UpstreamAuth."""
        return _accepted(await self._send("POST", url, form=form, headers=headers))

    async def post_json(self, url: str, body: Any) -> bytes:
        """Raises Declined, UpstreamUnavailable, UpstreamAuth."""
        return _accepted(await self._send("POST", url, body=body))

    async def _send(self, method: str, url: str, **content: Any) -> Answer:
        self._check(url)
        try:
            answer = await self._fetcher.send(method, url, self._timeout_s, **content)
        except FetchFailed as failed:
            raise self.unavailable(f"cannot be asked: {failed}") from None
        if answer.status == 429 or answer.status >= 500:
            raise self.unavailable(f"answered with HTTP {answer.status}")
        return answer

    def _check(self, url: str) -> None:
        local = is_loopback(urlsplit(url).hostname or "")
        if is_confidential(url) and (self._is_local or not local):
            return
        raise self.unusable("has an address that is not https" + (", or this machine's" if local else ""))

    def unavailable(self, what: str) -> GatewayError:
        return UpstreamUnavailable(f"the authorization server of upstream {self.server!r} {what}", server=self.server)

    def unusable(self, what: str) -> GatewayError:
        return UpstreamAuth(f"the authorization server of upstream {self.server!r} {what}", server=self.server)


def _outside(resolve: Resolve) -> Resolve:
    """Refuses names that lead back to this machine."""

    async def checked(host: str, port: int) -> list[str]:
        addresses = await resolve(host, port)
        if any(map(is_loopback, addresses)):
            raise OSError(0, "its address is this machine's own")
        return addresses

    return checked


def _accepted(answer: Answer) -> bytes:
    if 200 <= answer.status < 300:
        return answer.body
    raise Declined(_error(answer.body) or f"HTTP {answer.status}")


def _error(body: bytes) -> str | None:
    try:
        error = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return error if isinstance(error, str) and _ERROR.fullmatch(error) else None
