"""What goes on beside one call, in tasks of a group that calls share: it ends with the call, and harms no other."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
import anyio.abc

logger = logging.getLogger(__name__)


class Attendants:
    """Those of one call. Nothing starts any more once it has ended."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._scopes: list[anyio.CancelScope] = []
        self._has_ended = False

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        if not self._has_ended:
            self._scopes.append(anyio.CancelScope())
            self._group.start_soon(_within, self._scopes[-1], work)

    def end(self) -> None:
        self._has_ended = True
        for scope in self._scopes:
            scope.cancel()


async def _within(scope: anyio.CancelScope, work: Callable[[], Awaitable[None]]) -> None:
    try:
        with scope:
            await work()
    except Exception:  # boundary: what is wrong with one response must not end the group, and every call with it
        logger.exception("attendants.failed")
