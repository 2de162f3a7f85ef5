"""Which sandbox `execute` uses: chosen once for a process, in the background.

A preference and a state file enter; a `Sandbox`, or why there is none, leaves. The verdict of the last start is kept,
so that a listing need not wait for the self-test of this one.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from mcp_gateway.errors import GatewayError
from mcp_gateway.sandbox import Backend, Container, Sandbox, Unavailable, select
from mcp_gateway.security.private_file import write_private

logger = logging.getLogger(__name__)

_PREFERENCES = {
    "auto": "auto",
    "bwrap": Backend.BUBBLEWRAP,
    "landlock": Backend.LANDLOCK,
    "container": Backend.CONTAINER,
}
"""`tools.execute.runner` -> what `select` calls it."""

Verdict = Sandbox | Unavailable | str
"""A string is the reason why nothing was tried."""


class SandboxChoice:
    """One choice. `run` makes it as soon as somebody wants it; `private` is kept from every working directory."""

    def __init__(
        self,
        runner: str = "auto",
        private: Sequence[Path] = (),
        memory: Path | None = None,
        on_change: Callable[[], None] = lambda: None,
        container: Container | None = None,
    ) -> None:
        """`memory` is the state file, None for none. `on_change` is called when `works` turns out otherwise.

        container: the configured one, None where no image is named.
        """
        self._runner, self._container = runner, container
        self._private = tuple(private)
        self._memory = memory
        self._on_change = on_change
        self._wanted = anyio.Event()
        self._decided = anyio.Event()
        self._verdict: Verdict | None = None
        self._remembered = self._recall()

    @property
    def works(self) -> bool:
        """Whether there is a sandbox, as far as is known now."""
        return self._remembered is True if self._verdict is None else isinstance(self._verdict, Sandbox)

    @property
    def is_guessed(self) -> bool:
        """True while neither this start nor an earlier one on this system has told."""
        return self._verdict is None and self._remembered is None and self._wanted.is_set()

    def want(self) -> None:
        """Start choosing, unless that has happened."""
        self._wanted.set()

    async def run(self) -> None:
        """Choose once it is wanted, and return."""
        await self._wanted.wait()
        before = self.works
        self._verdict = await self._select()
        await anyio.to_thread.run_sync(self._remember)
        self._decided.set()
        logger.info("execute.sandbox backend=%s", getattr(self._verdict, "backend", "none"))
        if self.works != before:
            self._on_change()

    async def verdict(self) -> Verdict:
        """The sandbox, or why there is none; waits while it is being chosen, as long as the self-test's own limits."""
        self.want()
        await self._decided.wait()
        assert self._verdict is not None
        return self._verdict

    async def settled(self) -> None:
        """Wait until `works` is more than a guess."""
        if self.is_guessed:
            await self._decided.wait()

    async def _select(self) -> Verdict:
        preference = _PREFERENCES.get(self._runner)
        if preference is None:
            known = ", ".join(_PREFERENCES)
            return f"this version has no runner {self._runner!r}; set tools.execute.runner to one of {known}"
        try:
            return await select(preference, self._private, self._container)
        except (GatewayError, OSError, subprocess.SubprocessError) as failure:
            logger.exception("execute.sandbox_not_tested")
            return f"the sandbox could not be tested ({type(failure).__name__}); the gateway's log has more"

    # -- the verdict of the last start -------------------------------------------------------------------------------

    def _recall(self) -> bool | None:
        """None where nothing is known of this runner on this system."""
        if self._memory is None:
            return None
        try:
            known = json.loads(self._memory.read_bytes())
        except (OSError, ValueError):
            return None
        works = known.get(self._key()) if isinstance(known, dict) else None
        return works if isinstance(works, bool) else None

    def _remember(self) -> None:
        if self._memory is None:
            return
        try:
            write_private(self._memory, json.dumps({self._key(): self.works}).encode(), durable=False)
        except OSError as refused:
            logger.warning("execute.verdict_not_saved reason=%s", refused.strerror)

    def _key(self) -> str:
        """What a verdict depends on, besides programs that come and go."""
        image = f" {self._container.engine} {self._container.image}" if self._container else ""
        return f"{self._runner}{image} {platform.system()} {platform.release()} uid={os.getuid()}"
