"""Alerts on their way to a webhook: one at a time, tried a few times, never waited for.

An `Alert` enters; a POST of JSON leaves. The address is a secret and is in no message; `fetch`
keeps it from being redirected and from where it must not go.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio

from mcp_gateway.fetch import Fetcher, FetchFailed
from mcp_gateway.observe.alerts import Alert

logger = logging.getLogger(__name__)

QUEUE: Final = 100
"""Alerts that may wait; the oldest are dropped (our choice)."""

TIMEOUT_S: Final = 10.0
RETRY_AFTER_S: Final[tuple[float, ...]] = (1.0, 10.0)
"""Waits before a second and a third try; then an alert is given up (our choice)."""

MAX_ANSWER_BYTES: Final = 64 * 1024
"""What a webhook may answer; nobody reads it (our choice)."""


class Webhook:
    """`send` never blocks; `run` is the one task."""

    def __init__(self, url: Callable[[], str | None], facts: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """`url` is that of the configuration in force, None where nobody is to be told; `facts` go with every alert.

        Proxies come from `environ`.
        """
        self.retry_after_s = RETRY_AFTER_S
        self._url = url
        self._fetcher = Fetcher(MAX_ANSWER_BYTES, environ)
        self._facts = facts
        self._queue: deque[Alert] = deque(maxlen=QUEUE)
        self._wanted = anyio.Event()

    def send(self, alert: Alert) -> None:
        if self._url() is not None:
            self._queue.append(alert)
            self._wanted.set()

    async def run(self) -> None:
        """Deliver what is sent, in order, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            while self._queue:
                await self._deliver_one(self._queue.popleft())

    async def _deliver_one(self, alert: Alert) -> None:
        body = {**alert.plain(), **self._facts}
        for wait_s in (*self.retry_after_s, None):
            url = self._url()
            if url is None:
                return
            reason = await self._refusal(url, body)
            if reason is None:
                return
            if wait_s is None:
                logger.warning("webhook.given_up alert=%s reason=%s", alert.name, reason)
            else:
                await anyio.sleep(wait_s)

    async def _refusal(self, url: str, body: Mapping[str, Any]) -> str | None:
        """Why it was not taken; None when it was."""
        try:
            answer = await self._fetcher.send("POST", url, TIMEOUT_S, body=body)
        except FetchFailed as failure:
            return str(failure)
        return None if 200 <= answer.status < 300 else f"it answered HTTP {answer.status}"
