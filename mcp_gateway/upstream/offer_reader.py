"""Reading an upstream's offer again whenever it says that something changed.

Kinds enter as they go stale, freshly read parts leave through a callback. A storm
of changes costs one reading a second; a list that failed is tried again later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping

import anyio

from mcp_gateway.catalog.offer import Part
from mcp_gateway.catalog.route import Kind
from mcp_gateway.catalog.vetting import Caps
from mcp_gateway.errors import GatewayError, UpstreamDisconnected
from mcp_gateway.upstream.listing import offered_kinds, read_parts
from mcp_gateway.upstream.session import Link

logger = logging.getLogger(__name__)

DEBOUNCE_S = 0.1
REFRESH_INTERVAL_S = 1.0
"""`list_changed` storms cause at most one reading a second (security facts, 3.4 floods)."""

RETRY_FIRST_S = 2.0
RETRY_CAP_S = 60.0
"""A list that failed is read again after growing delays; calls go on meanwhile (our choice)."""

LIST_CHANGED: Mapping[str, tuple[Kind, ...]] = {
    "notifications/tools/list_changed": (Kind.TOOL,),
    "notifications/prompts/list_changed": (Kind.PROMPT,),
    "notifications/resources/list_changed": (Kind.RESOURCE, Kind.TEMPLATE),
}
"""The notifications that make kinds stale."""


class OfferReader:
    """The reader of one connection; `report` gets what was read, kind by kind."""

    def __init__(self, link: Link, report: Callable[[Mapping[Kind, Part]], None], timeout_s: float, caps: Caps) -> None:
        """`timeout_s` bounds each reading but the first, which is the caller's to bound."""
        self._link = link
        self._report = report
        self._timeout_s = timeout_s
        self._caps = caps
        self._stale: set[Kind] = set()
        self._woken = anyio.Event()
        self._retry_s = RETRY_FIRST_S

    def changed(self, kinds: Iterable[Kind]) -> None:
        self._stale.update(kinds)
        self._woken.set()

    async def read_first(self) -> None:
        """Read everything that is promised. What is left over is read by `keep`.

        Raises:
            GatewayError: the connection failed, or not one list could be read.
        """
        kinds = offered_kinds(self._link.session)
        parts, failures = await read_parts(self._link, kinds, self._caps)
        if failures:
            if not parts:
                raise next(iter(failures.values()))
            logger.warning("upstream.lists_failed name=%s kinds=%s", self._link.dispatcher.server, ",".join(failures))
            self.changed(failures)
        self._report(parts)

    async def keep(self) -> None:
        """Read what goes stale, until cancelled. Raises UpstreamDisconnected when the connection or session is over."""
        while True:
            await self._woken.wait()
            await anyio.sleep(DEBOUNCE_S)
            self._woken = anyio.Event()
            complete = await self._refresh()
            await anyio.sleep(REFRESH_INTERVAL_S - DEBOUNCE_S)
            if not complete:
                await self._before_retry()

    async def _refresh(self) -> bool:
        """Read the stale kinds; False when some could not be read, which leaves the last good ones in force."""
        kinds = [kind for kind in offered_kinds(self._link.session) if kind in self._stale]
        self._stale.clear()
        parts: Mapping[Kind, Part] = {}
        try:
            with anyio.fail_after(self._timeout_s):
                parts, _ = await read_parts(self._link, kinds, self._caps)
        except UpstreamDisconnected:
            raise
        except (TimeoutError, GatewayError) as failure:
            logger.info(
                "upstream.refresh_failed name=%s reason=%s", self._link.dispatcher.server, type(failure).__name__
            )
        if parts:
            self._report(parts)
        missing = set(kinds) - parts.keys()
        if not missing:
            self._retry_s = RETRY_FIRST_S
        self._stale |= missing
        return not missing

    async def _before_retry(self) -> None:
        with anyio.move_on_after(self._retry_s):
            await self._woken.wait()
        self._retry_s = min(self._retry_s * 2, RETRY_CAP_S)
        self._woken.set()
