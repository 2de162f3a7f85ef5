"""The one way to fetch something from an address that is not an upstream's: bounded, resolved once, never redirected.

A request enters, an `Answer` or a `FetchFailed` leaves. The name is resolved here and the connection goes to the very
address that was checked, so that a name cannot lead to a metadata service (CWE-918, R-SSRF-1).
"""

from __future__ import annotations

import functools
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anyio
import httpx2

from mcp_gateway.security.addresses import is_forbidden, proxy_for

CONNECT_TIMEOUT_S = 5.0
"""For each address of a host; the whole request has a deadline of its own besides (our choice)."""

Resolve = Callable[[str, int], Awaitable[list[str]]]


class FetchFailed(Exception):
    """Nothing usable came; the text says why, and holds neither a credential nor the URL."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the resolver's order. Raises OSError."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class Fetcher:
    """Proxies come from `environ` (`HTTPS_PROXY`, `NO_PROXY`), as for every upstream. `max_bytes` bounds an answer."""

    def __init__(self, max_bytes: int, environ: Mapping[str, str] = os.environ, resolve: Resolve = resolve) -> None:
        self._max_bytes = max_bytes
        self._environ = environ
        self._resolve = resolve

    async def send(
        self,
        method: str,
        url: httpx2.URL | str,
        timeout_s: float,
        headers: Mapping[str, str] = {},
        body: Any = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, with `body` as JSON or `form` as a form's fields; JSON is asked for. Raises FetchFailed."""
        try:
            with anyio.fail_after(timeout_s):
                return await self._send(method, httpx2.URL(url), {**_HEADERS, **headers}, {"json": body, "data": form})
        except (TimeoutError, httpx2.TimeoutException):
            raise FetchFailed(f"no answer within {timeout_s:g} s") from None
        except httpx2.ProxyError:
            raise FetchFailed("the proxy does not let it through") from None
        except (OSError, UnicodeError, httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise FetchFailed(f"it cannot be reached: {_reason(error)}") from None

    async def _send(self, method: str, url: httpx2.URL, headers: dict[str, str], content: Mapping[str, Any]) -> Answer:
        proxy = proxy_for(str(url), self._environ)
        if proxy is not None:
            _refuse_forbidden([url.host])
            return await self._exchange(httpx2.Request(method, url, headers=headers, **content), url, proxy)
        failure: Exception = OSError("its host name has no address")
        for address in await self._addresses(url):
            request = httpx2.Request(
                method,
                url.copy_with(host=address),
                headers={**headers, "host": url.netloc.decode("ascii")},
                **content,
                extensions={"sni_hostname": url.host},
            )
            try:
                return await self._exchange(request, url, None)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, url: httpx2.URL) -> list[str]:
        addresses = await self._resolve(url.host, url.port or (443 if url.scheme == "https" else 80))
        _refuse_forbidden(addresses)
        return list(dict.fromkeys(addresses))

    async def _exchange(self, request: httpx2.Request, url: httpx2.URL, proxy: str | None) -> Answer:
        verify = self._tls if url.scheme == "https" else False
        timeout = httpx2.Timeout(None, connect=CONNECT_TIMEOUT_S)  # the whole request has a deadline of its own
        auth = (url.username, url.password) if url.username else None
        async with httpx2.AsyncClient(verify=verify, proxy=proxy, trust_env=False, timeout=timeout) as client:
            answer = await client.send(request, stream=True, auth=auth, follow_redirects=False)
            try:
                return Answer(answer.status_code, answer.headers, await self._read(answer))
            finally:
                await answer.aclose()

    async def _read(self, answer: httpx2.Response) -> bytes:
        if answer.is_redirect:
            raise FetchFailed("it answered with a redirect, which is not followed; write the final address as its url")
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise FetchFailed("it compressed its answer although it was asked not to")
        body = bytearray()
        async for part in answer.aiter_raw():
            body += part
            if len(body) > self._max_bytes:
                raise FetchFailed(f"its answer is larger than {self._max_bytes / 1024**2:g} MiB")
        return bytes(body)

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        """One for all requests: making it takes milliseconds."""
        return ssl.create_default_context()


_HEADERS: Mapping[str, str] = {
    "accept": "application/json",
    "accept-encoding": "identity",
    "user-agent": "mcp-gateway",
}


def _refuse_forbidden(addresses: list[str]) -> None:
    if any(map(is_forbidden, addresses)):
        raise FetchFailed("its address is link-local or a metadata service, which is never called")


def _reason(error: Exception) -> str:
    """The operating system's words, or the kind of fault; a library's message may quote the URL."""
    if isinstance(error, socket.gaierror):
        return "its host name was not found"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, httpx2.ConnectError):
        return "no connection"
    return type(error).__name__
