"""The last good offers on disk: a first listing does not have to wait for any server.

Offers enter with a fingerprint of the settings each server is started with; they come
back, byte for byte, only for the same fingerprint. A file that cannot be used is
moved aside and counts as empty: the servers themselves will tell everything again.

All methods block on the disk; callers move them to a worker thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from mcp_gateway.catalog import Caps, Kind, Offer, Part, Problem, vet
from mcp_gateway.security.private_file import write_private
from mcp_gateway.wire import Raw, encode

logger = logging.getLogger(__name__)

FORMAT: Final = 2
"""Grows when the file's shape changes; other formats are not read."""


class _SavedPart(msgspec.Struct, frozen=True):
    kind: Kind
    entries: list[Raw]
    problems: list[Problem]
    ttl_ms: int | None
    public: bool
    digests: dict[str, str]


class _SavedOffer(msgspec.Struct, frozen=True):
    fingerprint: str
    revision: str
    parts: list[_SavedPart]
    capabilities: dict[str, Any]
    instructions: str | None
    server_info: dict[str, Any]


class _File(msgspec.Struct, frozen=True):
    format: int
    servers: dict[str, _SavedOffer]


class Snapshot:
    """The file of one configuration. One process writes it; a reader sees the old or the new one, never a half."""

    def __init__(self, path: Path, caps: Caps | None = None) -> None:
        self._path = path
        self._caps = caps or Caps()

    def load(self, fingerprints: Mapping[str, str]) -> dict[str, Offer]:
        """The saved offers of the servers whose fingerprint (by name) is still the saved one.

        Definitions are vetted again: the file may be older than today's rules.
        """
        try:
            saved = msgspec.json.decode(self._path.read_bytes(), type=_File)
            if saved.format != FORMAT:
                raise msgspec.ValidationError(f"format {saved.format}, expected {FORMAT}")
            return {
                server: self._offer(server, offer)
                for server, offer in saved.servers.items()
                if fingerprints.get(server) == offer.fingerprint
            }
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self._move_aside(error)
            return {}

    def save(self, offers: Iterable[Offer], fingerprints: Mapping[str, str]) -> None:
        """Write the offers of the servers that have a fingerprint; replaces the file as a whole.

        Raises:
            OSError: the folder cannot be written; the old file is as it was.
        """
        servers = {
            offer.server: _saved(offer, fingerprints[offer.server]) for offer in offers if offer.server in fingerprints
        }
        write_private(self._path, encode(_File(FORMAT, servers)), durable=False)

    def _offer(self, server: str, saved: _SavedOffer) -> Offer:
        return Offer(
            server,
            saved.revision,
            tuple(self._part(server, part) for part in saved.parts),
            saved.capabilities,
            saved.instructions,
            saved.server_info,
        )

    def _part(self, server: str, saved: _SavedPart) -> Part:
        vetted = vet(saved.kind, server, saved.entries, self._caps)
        return Part(
            saved.kind,
            vetted.entries,
            (*saved.problems, *vetted.problems),
            ttl_ms=saved.ttl_ms,
            public=saved.public,
            digests=saved.digests,
        )

    def _move_aside(self, error: Exception) -> None:
        aside = self._path.with_name(self._path.name + ".unusable")
        logger.warning("snapshot.unusable path=%s moved_to=%s error=%s", self._path, aside.name, error)
        with contextlib.suppress(OSError):
            os.replace(self._path, aside)


def _saved(offer: Offer, fingerprint: str) -> _SavedOffer:
    parts = [
        _SavedPart(
            part.kind,
            [Raw(encode(entry)) for entry in part.entries],
            list(part.problems),
            part.ttl_ms,
            part.public,
            dict(part.digests),
        )
        for part in offer.parts
    ]
    return _SavedOffer(
        fingerprint, offer.revision, parts, dict(offer.capabilities), offer.instructions, dict(offer.server_info)
    )
