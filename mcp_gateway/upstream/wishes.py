"""What clients want of a connection as a whole: resource subscriptions and a log level.

Wishes outlive connections: each new one is told all of them again. A legacy upstream is
told by requests; a modern one hears the level with each call and the URIs with its
listen. Who wished what is the gateway's business; here it is one set and one level.
"""

from __future__ import annotations

import logging

import anyio

from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError
from mcp_gateway.upstream.line import Line
from mcp_gateway.upstream.listen import Listening
from mcp_gateway.upstream.session import Link
from mcp_gateway.wire import Raw, RawParams

logger = logging.getLogger(__name__)

TELL_WITHIN_S = 5.0
"""For a request whose failure changes nothing for us (our choice)."""


class Wishes:
    """The wishes of all clients towards one upstream. `listening` is the listen of the present connection."""

    def __init__(self, line: Line) -> None:
        self.uris: set[str] = set()
        self.log_level: str | None = None
        self.listening: Listening | None = None
        self._line = line

    async def subscribe(self, uri: str) -> None:
        """See `MCPAgent.subscribe`."""
        self.uris.add(uri)
        try:
            await self._line.call(lambda link, _: self._subscribe(link, uri))
        except GatewayError as failure:
            logger.info("upstream.subscription_waits name=%s reason=%s", failure.server, failure.code)
        except BaseException:  # it was refused, or nobody waits for it any more
            self.uris.discard(uri)
            raise

    async def unsubscribe(self, uri: str) -> None:
        """See `MCPAgent.unsubscribe`."""
        self.uris.discard(uri)
        if self._line.link is None:
            return
        try:
            await self._line.call(lambda link, _: self._unsubscribe(link, uri))
        except GatewayError as failure:
            logger.info("upstream.unsubscribe_failed name=%s reason=%s", failure.server, failure.code)

    async def set_log_level(self, level: str) -> None:
        """See `MCPAgent.set_log_level`."""
        self.log_level = level
        if self._line.link is not None:
            await self._tell_level(self._line.link)

    async def tell_all(self, link: Link) -> None:
        """Tell a new connection everything."""
        await self._tell_level(link)
        if not link.session.modern:
            for uri in sorted(self.uris):
                await _tell(link, "resources/subscribe", {"uri": uri})

    async def _tell_level(self, link: Link) -> None:
        if self.log_level is not None and not link.session.modern and "logging" in link.session.capabilities:
            await _tell(link, "logging/setLevel", {"level": self.log_level})

    async def _subscribe(self, link: Link, uri: str) -> Raw:
        if not link.session.modern:
            return await link.request("resources/subscribe", {"uri": uri})
        resources = link.session.capabilities.get("resources")
        if not isinstance(resources, dict) or resources.get("subscribe") is not True:
            raise RpcError.of(METHOD_NOT_FOUND, "the server does not offer resource subscriptions")
        return self._listen_again()

    async def _unsubscribe(self, link: Link, uri: str) -> Raw:
        return (
            self._listen_again() if link.session.modern else await link.request("resources/unsubscribe", {"uri": uri})
        )

    def _listen_again(self) -> Raw:
        if self.listening is not None:
            self.listening.uris_changed()
        return Raw(b"{}")


async def _tell(link: Link, method: str, params: RawParams) -> None:
    try:
        with anyio.fail_after(TELL_WITHIN_S):
            await link.request(method, params)
    except (TimeoutError, GatewayError, RpcError) as failure:
        name = link.dispatcher.server
        logger.info("upstream.tell_failed name=%s method=%s reason=%s", name, method, type(failure).__name__)
