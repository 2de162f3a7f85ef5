"""The names given out under `expose.prefix: collision`, on disk: what clients know a tool by stays its name.

Read at the start, written when the catalog has given out more. A file that cannot be
used counts as empty. All methods block on the disk.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from pathlib import Path
from typing import Final

import msgspec

from mcp_gateway.catalog import Kind
from mcp_gateway.catalog.rules import StickyNames
from mcp_gateway.security.private_file import write_private

logger = logging.getLogger(__name__)

FORMAT: Final = 1
"""Grows when the file's shape changes; other formats are not read."""


class _Name(msgspec.Struct, frozen=True):
    kind: Kind
    server: str
    wanted: str
    exposed: str


class _File(msgspec.Struct, frozen=True):
    format: int
    names: list[_Name]


class KeptNames:
    """The file of one configuration."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved: StickyNames = {}

    def load(self, servers: Container[str]) -> StickyNames:
        """The names of the servers that are still configured."""
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as unusable:
            logger.warning("names.unusable reason=%s", type(unusable).__name__)
            return {}
        if file.format != FORMAT:
            return {}
        known = {(name.kind, name.server, name.wanted): name.exposed for name in file.names if name.server in servers}
        self._saved = known
        return known

    def save(self, names: StickyNames) -> None:
        """Write the names, unless the file has them already. Raises OSError; the old file is as it was."""
        if names == self._saved:
            return
        rows = [_Name(kind, server, wanted, exposed) for (kind, server, wanted), exposed in names.items()]
        write_private(self._path, msgspec.json.encode(_File(FORMAT, rows)))
        self._saved = dict(names)
