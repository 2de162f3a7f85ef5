"""Change notifications of a modern upstream: one `subscriptions/listen` at a time.

The filter of a listen cannot be changed, so a new one is opened and acknowledged
before the old one is dropped (2026-07-28, basic/patterns/subscriptions).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import anyio

from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError
from mcp_gateway.upstream.dispatch.base import Listener
from mcp_gateway.upstream.session import Link
from mcp_gateway.wire import Raw, RawParams

logger = logging.getLogger(__name__)

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"

ACKNOWLEDGED_WITHIN_S = 2.0
"""How long an acknowledgement is waited for before things go on without (our choice)."""

_RETRY_FIRST_S = 1.0
_RETRY_CAP_S = 30.0
_KINDS = ("tools", "prompts", "resources")


class _ListenSink:
    """Hears one listen stream; the first message is the acknowledgement."""

    owner = "gateway"
    token: str | int | None = None

    def __init__(self, deliver: Listener, on_acknowledged: Callable[[], None]) -> None:
        self._deliver = deliver
        self._on_acknowledged = on_acknowledged
        self.acknowledged = False

    def notify(self, method: str, params: RawParams) -> None:
        if method == ACKNOWLEDGED:
            self.acknowledged = True
            self._on_acknowledged()
        else:
            self._deliver(method, params)

    async def request(self, method: str, params: RawParams) -> Raw:
        raise RpcError.of(METHOD_NOT_FOUND, "a listen stream carries no requests")


class Listening:
    """Keeps one listen open for as long as it runs, with the URIs wanted at the time."""

    def __init__(self, link: Link, uris: Callable[[], frozenset[str]], deliver: Listener) -> None:
        self._link = link
        self._uris = uris
        self._deliver = deliver
        self._changed = anyio.Event()
        self._first_opened = anyio.Event()

    def uris_changed(self) -> None:
        self._changed.set()

    async def opened(self) -> None:
        """Wait until the first listen is acknowledged or has failed, a short while at most."""
        with anyio.move_on_after(ACKNOWLEDGED_WITHIN_S):
            await self._first_opened.wait()

    async def run(self) -> None:
        """Listen until cancelled; a stream that ends is opened again with growing delays."""
        current: anyio.CancelScope | None = None
        opened = self._first_opened
        async with anyio.create_task_group() as group:
            while True:
                self._changed = anyio.Event()
                scope = anyio.CancelScope()
                group.start_soon(self._keep, scope, opened)
                with anyio.move_on_after(ACKNOWLEDGED_WITHIN_S):
                    await opened.wait()
                if current is not None:
                    current.cancel()
                current = scope
                await self._changed.wait()
                opened = anyio.Event()

    async def _keep(self, scope: anyio.CancelScope, opened: anyio.Event) -> None:
        """Hold one listen open until `scope` ends; `opened` is set once it is acknowledged, or has failed once."""
        delay_s = _RETRY_FIRST_S
        on_acknowledged = opened.set
        with scope:
            while True:
                sink = _ListenSink(self._deliver, on_acknowledged)
                if await self._is_unknown(sink):
                    opened.set()
                    return
                opened.set()
                await anyio.sleep(delay_s)
                delay_s = _RETRY_FIRST_S if sink.acknowledged else min(delay_s * 2, _RETRY_CAP_S)
                on_acknowledged = self._announce_all

    def _announce_all(self) -> None:
        """Changes may have been missed between two streams: have everything read again."""
        for kind in _KINDS:
            if _flag(self._link.session.capabilities.get(kind), "listChanged"):
                self._deliver(f"notifications/{kind}/list_changed", {})

    async def _is_unknown(self, sink: _ListenSink) -> bool:
        """Hear one stream to its end; True when the upstream does not know the method, so that asking is no use."""
        try:
            await self._link.request("subscriptions/listen", {"notifications": self._filter()}, sink)
        except (GatewayError, RpcError) as ended:
            logger.debug("upstream.listen_ended name=%s reason=%s", self._link.dispatcher.server, type(ended).__name__)
            return isinstance(ended, RpcError) and ended.error["code"] == METHOD_NOT_FOUND
        return False

    def _filter(self) -> dict[str, Any]:
        capabilities = self._link.session.capabilities
        wanted: dict[str, Any] = {
            f"{kind}ListChanged": True for kind in _KINDS if _flag(capabilities.get(kind), "listChanged")
        }
        uris = sorted(self._uris())
        if uris and _flag(capabilities.get("resources"), "subscribe"):
            wanted["resourceSubscriptions"] = uris
        return wanted


def worth_listening(link: Link) -> bool:
    """True when a modern upstream announces anything that only a listen delivers."""
    if not link.session.modern:
        return False
    capabilities = link.session.capabilities
    flags = [_flag(capabilities.get(kind), "listChanged") for kind in _KINDS]
    return any(flags) or _flag(capabilities.get("resources"), "subscribe")


def _flag(capability: Any, name: str) -> bool:
    return isinstance(capability, dict) and capability.get(name) is True
