"""When offers and names are written to disk: soon after they have changed, and at the end.

Word of changed offers enters; a disk that refuses costs the next start its head start, nothing else.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import anyio.to_thread

from mcp_gateway.catalog import StickyNames
from mcp_gateway.events import Event, OfferChanged
from mcp_gateway.upstream.kept_names import KeptNames
from mcp_gateway.upstream.manager import MCPAgentManager
from mcp_gateway.upstream.snapshot import Snapshot

logger = logging.getLogger(__name__)

SAVE_AFTER_S = 1.0
"""Changed offers are written this long after the first change, several at once (our choice)."""


class Saving:
    """Keeps the last good offers, and the names given out, on disk. `run` is its one task."""

    def __init__(
        self, upstreams: MCPAgentManager, snapshot: Snapshot, names: KeptNames, given: Callable[[], StickyNames]
    ) -> None:
        """`given` are the names given out so far."""
        self._upstreams = upstreams
        self._snapshot = snapshot
        self._names = names
        self._given = given
        self._changed = anyio.Event()

    def hear(self, event: Event) -> None:
        """An event listener."""
        if isinstance(event, OfferChanged):
            self._changed.set()

    async def run(self) -> None:
        """Write what has changed, until cancelled."""
        while True:
            await self._changed.wait()
            await anyio.sleep(SAVE_AFTER_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what has changed since the last time; returns at once when nothing has."""
        if not self._changed.is_set():
            return
        self._changed = anyio.Event()
        offers = self._upstreams.in_order()
        fingerprints = {offer.server: self._upstreams.definition(offer.server).fingerprint for offer in offers}
        names = self._given()
        try:
            await anyio.to_thread.run_sync(self._snapshot.save, offers, fingerprints)
            await anyio.to_thread.run_sync(self._names.save, names)
        except OSError as refused:
            logger.warning("app.offers_not_saved reason=%s", refused.strerror)
