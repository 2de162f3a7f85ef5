"""Settings that the file may hold already and that this version does not act on.

What would weaken protection if it were ignored is refused; the rest is told in a note.
A row goes away with the change that makes its setting work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcp_gateway.config.model import Config
from mcp_gateway.errors import BadConfig

REFUSED: Final[tuple[tuple[str, Callable[[Config], bool]], ...]] = (
    ("tools.execute.runner: unsafe-none", lambda config: config.tools.execute.runner == "unsafe-none"),
    ("cluster", lambda config: config.cluster.redis is not None),
)
"""Path -> whether the file asks for protection, or for a shape of service, that is not there yet."""


def refusals(config: Config) -> tuple[str, ...]:
    """A line for each setting without which serving would be less protected than the file says."""
    name = config.path.name
    return tuple(
        f"{name}: {path}: not in this version of the gateway; leave it out" for path, asks in REFUSED if asks(config)
    )


def check(config: Config) -> None:
    """Raises BadConfig where the file asks for what would be missing."""
    if refused := refusals(config):
        raise BadConfig("\n".join(refused))


def told(config: Config) -> tuple[str, ...]:
    """What whoever starts the gateway should read: notes, and which servers are left out today."""
    return (*config.notes, *notes(config), *config.skipped.values())


def notes(config: Config) -> tuple[str, ...]:
    """A line for each setting that is read and has no effect yet."""
    ignored = ["cache.backend: redis"] if config.cache.backend == "redis" else []
    return tuple(f"{config.path.name}: {path}: read, but without effect in this version" for path in ignored)
