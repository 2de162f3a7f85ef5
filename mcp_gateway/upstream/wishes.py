"""What clients want of a connection as a whole: resource subscriptions and a log level.

Wishes outlive connections: each new one is told all of them again. Who wished what
is the gateway's business; here they are already one set and one level.
"""

from __future__ import annotations

import logging

import anyio

from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError
from mcp_gateway.upstream.session import Link
from mcp_gateway.wire import RawParams

logger = logging.getLogger(__name__)

TELL_WITHIN_S = 5.0
"""For a request whose failure changes nothing for us (our choice)."""


class Wishes:
    """The wishes of all clients towards one upstream."""

    def __init__(self) -> None:
        self.uris: set[str] = set()
        self.log_level: str | None = None

    async def tell_all(self, link: Link) -> None:
        """Tell a new legacy connection everything.

        A modern upstream hears both elsewhere: the level with each request, the URIs with its listen.
        """
        await self.tell_level(link)
        if not link.session.modern:
            for uri in sorted(self.uris):
                await _tell(link, "resources/subscribe", {"uri": uri})

    async def tell_level(self, link: Link) -> None:
        if self.log_level is not None and not link.session.modern and "logging" in link.session.capabilities:
            await _tell(link, "logging/setLevel", {"level": self.log_level})


def check_subscribable(link: Link) -> None:
    """Raises RpcError when a modern upstream does not offer subscriptions; a legacy one answers for itself."""
    resources = link.session.capabilities.get("resources")
    if not isinstance(resources, dict) or resources.get("subscribe") is not True:
        raise RpcError.of(METHOD_NOT_FOUND, "the server does not offer resource subscriptions")


async def _tell(link: Link, method: str, params: RawParams) -> None:
    try:
        with anyio.fail_after(TELL_WITHIN_S):
            await link.request(method, params)
    except (TimeoutError, GatewayError, RpcError) as failure:
        name = link.dispatcher.server
        logger.info("upstream.tell_failed name=%s method=%s reason=%s", name, method, type(failure).__name__)
