"""Opening connections to one upstream: names, addresses, proxy, TLS.

An address enters, a connected protocol leaves. Names are resolved once and the
connection goes to the very address that was checked. Every fault becomes one of ours.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from mcp_gateway.errors import BadConfig, GatewayError, UpstreamUnavailable
from mcp_gateway.observe.trace import apart
from mcp_gateway.upstream.dispatch.address import Address, TlsSettings, is_forbidden, tls_context

CONNECT_TIMEOUT_S = 10.0
"""Name, TCP, proxy and TLS together. Our choice: longer is an outage, and the caller's deadline is 60 s."""

_MAX_PROXY_HEAD_BYTES = 64 * 1024


class Connector:
    """The way to one upstream; `proxied` says that requests must carry absolute URLs."""

    def __init__(self, server: str, address: Address, tls: TlsSettings | None, proxy: Address | None) -> None:
        self._server = server
        self._address = address
        self._tls = tls or TlsSettings()
        self._proxy = proxy
        self.proxied = proxy is not None and address.scheme == "http"

    async def connect(self, factory: Callable[[], asyncio.Protocol]) -> None:
        """Connect a protocol made by `factory`.

        Raises:
            UpstreamUnavailable: no connection; the message says why.
            BadConfig: the address may not be used, or the TLS files cannot.
        """
        try:
            with apart():
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await self._connect(factory)
        except TimeoutError:
            raise self._unavailable(f"no connection within {CONNECT_TIMEOUT_S:.0f} s") from None
        except ssl.SSLCertVerificationError as error:
            raise self._unavailable(f"its certificate is not accepted: {error.verify_message}") from None
        except socket.gaierror:
            raise self._unavailable("its host name was not found") from None
        except (OSError, UnicodeError) as error:
            raise self._unavailable(_reason(error)) from None

    async def _connect(self, factory: Callable[[], asyncio.Protocol]) -> None:
        if is_forbidden(self._address.host):
            raise self._forbidden()
        secure = self._address.scheme == "https"
        if self._proxy is None or not secure:
            await self._dial(self._proxy or self._address, factory)
        else:
            await self._dial_through(self._proxy, factory)

    async def _dial(self, to: Address, factory: Callable[[], asyncio.Protocol]) -> asyncio.Transport:
        """Try each address of a host in turn, as the resolver orders them."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {}
        if to.scheme == "https":
            options = {"ssl": tls_context(self._tls), "server_hostname": to.host}
        failure: OSError = OSError("no address")
        for host in await self._resolve(to):
            try:
                transport, _ = await loop.create_connection(factory, host, to.port, **options)
            except OSError as error:
                failure = error
            else:
                return transport
        raise failure

    async def _resolve(self, to: Address) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
        hosts = [str(sockaddr[0]) for *_, sockaddr in found]
        if any(is_forbidden(host) for host in hosts):
            raise self._forbidden()
        return hosts

    async def _dial_through(self, proxy: Address, factory: Callable[[], asyncio.Protocol]) -> None:
        """CONNECT through an HTTP proxy, then speak TLS with the upstream inside."""
        tunnel = _Tunnel()
        transport = await self._dial(proxy, lambda: tunnel)
        try:
            transport.write(_connect_request(self._address, proxy))
            status = await tunnel.answer
            if status != 200:
                raise self._unavailable(f"the proxy answered CONNECT with HTTP {status}")
            protocol = factory()
            inside = await asyncio.get_running_loop().start_tls(
                transport, protocol, tls_context(self._tls), server_hostname=self._address.host
            )
            if inside is None:
                raise ConnectionError("the connection ended during the TLS handshake")
        except BaseException:
            transport.abort()
            raise
        protocol.connection_made(inside)

    def _unavailable(self, reason: str) -> UpstreamUnavailable:
        return UpstreamUnavailable(f"upstream {self._server!r} cannot be reached: {reason}", server=self._server)

    def _forbidden(self) -> GatewayError:
        reason = "its address is link-local or a metadata service, which upstreams may not be"
        return BadConfig(f"upstream {self._server!r} is not called: {reason}", server=self._server)


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT; `answer` becomes its status."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head and not self.answer.done():
            words = self._head.split(b"\r\n", 1)[0].split()
            valid = len(words) >= 2 and words[0].startswith(b"HTTP/1.") and words[1].isdigit()
            self.answer.set_result(int(words[1]) if valid else 0)
        elif len(self._head) > _MAX_PROXY_HEAD_BYTES:
            self._fail("the proxy's answer is too large")

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("the proxy closed the connection")

    def _fail(self, reason: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectionError(reason))


def _connect_request(to: Address, proxy: Address) -> bytes:
    credentials = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
    return f"CONNECT {to.host_port} HTTP/1.1\r\nhost: {to.host_port}\r\n{credentials}\r\n".encode("ascii")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "handshake").lower().replace("_", " ")
        return f"TLS failed: {reason}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
