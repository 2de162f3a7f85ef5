"""The configuration over the life of a process: its file is read again, and put in force as a whole or not at all.

A changed file enters; what every part takes of it leaves, in the order of the parts. Parts are known as `Part`s only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from mcp_gateway.config import Config, ahead, load_config
from mcp_gateway.config.watch import changes, signature, sources
from mcp_gateway.errors import BadConfig
from mcp_gateway.wiring import check_profile

logger = logging.getLogger(__name__)

Terms = TypeVar("Terms")

Step = Callable[[], None]
"""Puts one part's share of a configuration in force. Nothing that the file says makes it raise."""

Part = Callable[[Config], Step]
"""Finds out what one part takes of a configuration. Changes nothing that is in force; raises BadConfig."""


def part(terms: Callable[[Config], Terms], put: Callable[[Terms], None]) -> Part:
    """`terms` makes what the part takes and may raise, `put` hands it over."""

    def prepared(config: Config) -> Step:
        value = terms(config)
        return lambda: put(value)

    return prepared


class Reloading:
    """The configuration in force, the file it came from, and why that file is not in force if it is not.

    Attributes:
        config: what is in force.
        error: what is wrong with the file as it is now, None when it is in force.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        parts: Callable[[], Sequence[Part]],
        profile: str | None = None,
    ) -> None:
        """`config` has just been read, and is in force. `profile` is served by default, so it has to stay."""
        self.config = config
        self.error: str | None = None
        self._environ = environ
        self._parts = parts
        self._profile = profile
        self._started_with = config
        self._read_from = signature(sources(config, environ))

    def reload(self) -> bool:
        """Read the file again: all of it, or none of it. False, and `error`, when it cannot be used."""
        try:
            config = load_config(self.config.path, environ=self._environ)
            ahead.check(config)
            check_profile(config, self._profile)
            steps = [prepare(config) for prepare in self._parts()]
        except BadConfig as bad:
            return self._refuse(bad.message)
        except Exception as fault:  # boundary: a file that breaks our own reading must not end what works
            logger.exception("app.reload_failed")
            return self._refuse(f"reading it failed ({type(fault).__name__}); the log has more")
        try:
            self._put_in_force(config, steps)
        except Exception as fault:  # boundary: a fault of ours in one part must not end the others
            logger.exception("app.reload_failed")
            self._go_back()
            return self._refuse(f"putting it in force failed ({type(fault).__name__}); the log has more")
        logger.info("app.reloaded servers=%d restart_needed=%s", len(config.servers), self.restart_needed())
        return True

    def asked_for(self) -> list[str]:
        """As `reload`: the settings that still need a restart. Raises BadConfig."""
        if not self.reload():
            raise BadConfig(self.error or "the configuration cannot be used")
        return self.restart_needed()

    async def watch(self) -> None:
        """Reload whenever the file has changed, unless the configuration says not to, until cancelled."""

        def files() -> list[Path]:
            return sources(self.config, self._environ)

        async for _ in changes(self._read_from, files, lambda: self.config.reload.debounce_ms / 1000):
            if self.config.reload.watch:
                self.reload()

    def restart_needed(self) -> list[str]:
        """Settings that were changed in the file and take effect at the next start only."""
        old, new = self._started_with, self.config
        pairs = {
            "server": (old.server, new.server),
            "auth.oauth": (old.auth.oauth, new.auth.oauth),
            "auth.signatures.skew": (old.auth.signatures.skew, new.auth.signatures.skew),
            "limits": (old.limits, new.limits),
            "cache.memory": (old.cache.memory, new.cache.memory),
            "cache.disk": (old.cache.disk, new.cache.disk),
            "cache.backend": (old.cache.backend, new.cache.backend),
            "observability.otlp": (old.observability.otlp, new.observability.otlp),
            "observability.metrics": (old.observability.metrics, new.observability.metrics),
            "tools.execute.runner": (old.tools.execute.runner, new.tools.execute.runner),
            "tools.execute.container": (old.tools.execute.container, new.tools.execute.container),
        }
        return [name for name, (before, after) in pairs.items() if before != after]

    def status(self) -> dict[str, Any]:
        """For whoever may change the file."""
        return {
            "file": str(self.config.path),
            "error": self.error,
            "notes": list(self.config.notes),
            "restart_needed": self.restart_needed(),
        }

    def _put_in_force(self, config: Config, steps: Sequence[Step]) -> None:
        before, self.config = self.config, config
        try:
            for step in steps:
                step()
        except BaseException:
            self.config = before
            raise
        self.error = None

    def _go_back(self) -> None:
        """Every part takes what was in force before; one that cannot keeps no other from it."""
        for prepare in self._parts():
            try:
                prepare(self.config)()
            except Exception:  # boundary: as in `reload`
                logger.exception("app.reload_not_undone")

    def _refuse(self, reason: str) -> bool:
        self.error = reason
        logger.error("app.reload_refused problems=%s", reason)
        return False
