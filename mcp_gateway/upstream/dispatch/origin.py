"""Requests to one upstream's origin: heads, redirects, and the one retry that is safe.

A method, a body and header lines enter, a finished `Exchange` leaves. Knows no
JSON-RPC. Credentials never leave the origin: a redirect elsewhere is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from mcp_gateway.errors import BadConfig, UpstreamDisconnected
from mcp_gateway.upstream.dispatch import headers as header_fields
from mcp_gateway.upstream.dispatch.address import Address, TlsSettings, parse_url
from mcp_gateway.upstream.dispatch.authorization import Authorization
from mcp_gateway.upstream.dispatch.base import MAX_MESSAGE_BYTES, off_protocol
from mcp_gateway.upstream.dispatch.connector import Connector
from mcp_gateway.upstream.dispatch.exchange import Exchange, OnEvent
from mcp_gateway.upstream.dispatch.pool import Pool

_ACCEPT = {
    "POST": b"content-type: application/json\r\naccept: application/json, text/event-stream\r\n",
    "GET": b"accept: text/event-stream\r\n",
    "DELETE": b"",
}


class Origin:
    """One upstream over HTTP, in bodies of at most `max_message_bytes`.

    Attributes:
        address: the configured URL, taken apart.
        headers: the configured headers, checked; sent with every request.
    """

    def __init__(
        self,
        server: str,
        url: str,
        *,
        headers: Mapping[str, str],
        tls: TlsSettings | None,
        proxy: str | None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        authorization: Authorization | None = None,
    ) -> None:
        """`authorization` takes the place of any configured `Authorization` header."""
        self.server = server
        self.address = parse_url(server, url)
        self.headers = header_fields.normal(server, headers)
        self.headers.pop(header_fields.VERSION, None)  # known only once it is negotiated
        if self.address.authorization is not None:
            self.headers.setdefault("authorization", self.address.authorization)
        if authorization is not None:
            self.headers.pop("authorization", None)
        self._authorization = authorization
        self._configured = header_fields.lines(self.headers)
        self.max_message_bytes = max_message_bytes
        self._proxy = None if proxy is None else _parse_proxy(server, proxy)
        self._connector = Connector(server, self.address, tls, self._proxy)
        self._pool = Pool(server, self._connector)
        self._heads: dict[tuple[str, str], bytes] = {}

    async def send(
        self,
        verb: str,
        body: bytes = b"",
        *,
        extra: bytes = b"",
        headers: Mapping[str, str] | None = None,
        to: Address | None = None,
        on_event: OnEvent | None = None,
        resend: bool = True,
    ) -> Exchange:
        """Send one request and wait until its exchange is done.

        `extra` are encoded header lines; `headers` are the request's own and win over
        configured ones. `resend` allows a second try on a new connection when a reused
        one was closed before any byte of an answer: the server may have read the
        request all the same, so it must be False for `tools/call` (R-RETRY-1). Those
        are protected by looking at a reused connection right before writing.

        With an `authorization`, a 401 is answered with one more try under a new token: nothing has been done so far.

        Raises:
            UpstreamUnavailable, UpstreamDisconnected, UpstreamProtocolError,
            UpstreamMessageTooLarge, InvalidParams, BadConfig; with an `authorization` also UpstreamAuth.
        """
        lines = extra + self._own_lines(headers)
        target = to or self.address
        if self._authorization is None:
            return await self._send_on(target, verb, lines, body, on_event, resend)
        header = await self._authorization.header()
        exchange = await self._send_on(target, verb, lines + _line(header), body, on_event, resend)
        if exchange.status == 401:
            header = await self._authorization.renewed(header, exchange.challenge)
            if header is not None:
                exchange = await self._send_on(target, verb, lines + _line(header), body, on_event, resend)
        if exchange.status in (401, 403):
            raise self._authorization.refusal(exchange.status, exchange.challenge)
        return exchange

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _send_on(
        self, target: Address, verb: str, lines: bytes, body: bytes, on_event: OnEvent | None, resend: bool
    ) -> Exchange:
        exchange = await self._send_to(target, verb, lines, body, on_event, resend)
        if exchange.status in (307, 308):
            target = self._redirection(target, exchange)
            exchange = await self._send_to(target, verb, lines, body, on_event, resend)
        if 300 <= exchange.status < 400:
            raise off_protocol(self.server, f"answered with a redirect (HTTP {exchange.status}) that is not followed")
        return exchange

    async def _send_to(
        self, target: Address, verb: str, lines: bytes, body: bytes, on_event: OnEvent | None, resend: bool
    ) -> Exchange:
        request = b"%b%bcontent-length: %d\r\n\r\n%b" % (self._head(verb, target.target), lines, len(body), body)
        connection = await self._pool.acquire()
        while True:
            exchange = Exchange(self.server, self.max_message_bytes, on_event)
            reused = connection.used
            connection.start(request, exchange)
            try:
                await exchange.done
            except asyncio.CancelledError:
                connection.abandon(exchange)
                raise
            except UpstreamDisconnected:
                if not (resend and reused) or exchange.touched:
                    raise
                connection = await self._pool.acquire(fresh=True)
            else:
                return exchange

    def _head(self, verb: str, target: str) -> bytes:
        """Request line and the headers that are always the same."""
        head = self._heads.get((verb, target))
        if head is None:
            head = self._heads[(verb, target)] = self._build_head(verb, target)
        return head

    def _build_head(self, verb: str, target: str) -> bytes:
        credentials = b""
        if self._connector.proxied:
            target = self.address.origin + target
            if self._proxy is not None and self._proxy.authorization:
                credentials = header_fields.lines({"proxy-authorization": self._proxy.authorization})
        line = f"{verb} {target} HTTP/1.1\r\nhost: {self.address.authority}\r\n".encode("ascii")
        return line + _ACCEPT[verb] + b"accept-encoding: identity\r\n" + credentials

    def _own_lines(self, headers: Mapping[str, str] | None) -> bytes:
        if not headers:
            return self._configured
        fields = {**self.headers, **header_fields.normal(self.server, headers)}
        if self._authorization is not None:
            fields.pop("authorization", None)
        return header_fields.lines(fields)

    def _redirection(self, target: Address, exchange: Exchange) -> Address:
        """Where a 307 or 308 leads, if that is the same origin (R-SSRF-1)."""
        try:
            location = target.join(exchange.headers.get(b"location", b"").decode("ascii"))
        except ValueError:
            raise off_protocol(self.server, "redirects to something that is not a URL") from None
        if not location.same_origin(self.address):
            raise off_protocol(
                self.server,
                f"redirects to another origin, {location.origin}, which is not followed; configure the right URL",
            )
        return location


def _line(authorization: str | None) -> bytes:
    return b"" if authorization is None else header_fields.lines({"authorization": authorization})


def _parse_proxy(server: str, proxy: str) -> Address:
    try:
        return parse_url(server, proxy)
    except BadConfig:
        raise BadConfig(f"the proxy of upstream {server!r} is not an http or https URL", server=server) from None
