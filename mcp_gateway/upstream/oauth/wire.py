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
from mcp_gateway.security.addresses import is_confidential, is_loopback, is_private, networks
from mcp_gateway.upstream.oauth.account import LoginSettings

MAX_BYTES: Final = 256 * 1024
"""Of any answer; real ones are below 20 kB (our choice)."""
TIMEOUT_S: Final = 10.0
"""Of any request (our choice)."""

_NO_SETTINGS: Final = LoginSettings()
_ADVICE: Final = "if that is right, add its network to security.private_networks"

_ERROR = re.compile(r"[a-z_]{1,64}")


class Declined(Exception):
    """The authorization server said no; `error` is its code (RFC 6749, section 5.2; RFC 7591, section 3.2.2)."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


class AuthorizationWire:
    """The way to whatever authorization server one upstream names.

    Addresses are https. Only an upstream of this machine may name one of this machine, over http too, and only one
    at a private address one at another: others could have us ask services that they cannot reach (R-SSRF-1). The
    upstream's own host and the issuer of its settings are the operator's words, and may be private.
    """

    def __init__(
        self,
        server: str,
        url: str,
        environ: Mapping[str, str],
        settings: LoginSettings = _NO_SETTINGS,
        *,
        resolve: Resolve = resolve,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.server = server
        host = urlsplit(url).hostname or ""
        self._is_local = is_loopback(host)
        self._is_within = self._is_local or is_private(host)
        self._named = frozenset({host, urlsplit(settings.issuer or "").hostname})
        self._networks = networks(settings.private_networks)
        self._timeout_s = timeout_s
        self._fetcher = Fetcher(MAX_BYTES, environ, resolve if self._is_local else self._outside(resolve))

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
        host = urlsplit(url).hostname or ""
        local = is_loopback(host)
        if is_confidential(url) and (self._is_local or not local):
            if local or self._may_be_private(host) or not is_private(host, self._networks):
                return
            raise self.unusable(f"has a private address; {_ADVICE}")
        raise self.unusable("has an address that is not https" + (", or this machine's" if local else ""))

    def _may_be_private(self, host: str) -> bool:
        return self._is_within or host in self._named

    def _outside(self, resolve: Resolve) -> Resolve:
        """Refuses names that lead back to this machine, or to a network that is nobody's business."""

        async def checked(host: str, port: int) -> list[str]:
            addresses = await resolve(host, port)
            if any(map(is_loopback, addresses)):
                raise OSError(0, "its address is this machine's own")
            if not self._may_be_private(host) and any(is_private(address, self._networks) for address in addresses):
                raise OSError(0, f"its address is private; {_ADVICE}")
            return addresses

        return checked

    def unavailable(self, what: str) -> GatewayError:
        return UpstreamUnavailable(f"the authorization server of upstream {self.server!r} {what}", server=self.server)

    def unusable(self, what: str) -> GatewayError:
        return UpstreamAuth(f"the authorization server of upstream {self.server!r} {what}", server=self.server)


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
