"""What the signals of the operating system ask of a process that serves."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

logger = logging.getLogger(__name__)


async def obey_signals(
    reload: Callable[[], object], stop: Callable[[], Coroutine[Any, Any, None]], stop_now: Callable[[], None]
) -> None:
    """SIGTERM and SIGINT stop, a second one stops at once; SIGHUP reads the configuration again."""
    stopping = False
    async with anyio.create_task_group() as group:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for received in signals:
                if received == signal.SIGHUP:
                    reload()
                elif stopping:
                    stop_now()
                else:
                    stopping = True
                    logger.info("app.stopping signal=%s", received.name)
                    group.start_soon(stop)
