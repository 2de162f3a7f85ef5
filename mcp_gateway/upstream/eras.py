"""Remembering which era each upstream speaks, so that a start need not probe again.

One small JSON file in the state folder: fingerprint -> [era, epoch seconds]. A
legacy verdict is trusted for a day: a stale one never fails by itself (protocol
facts, section 2). A file that cannot be read or written only costs a probe.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from pathlib import Path

from mcp_gateway.security.private_file import write_private
from mcp_gateway.upstream.session import Era

logger = logging.getLogger(__name__)

TRUSTED_FOR_S = 24 * 3600.0
MAX_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class EraEntry:
    """One upstream's line in the book."""

    book: EraBook
    fingerprint: str

    def recall(self) -> Era:
        return self.book.recall(self.fingerprint)

    def remember(self, era: Era) -> None:
        self.book.remember(self.fingerprint, era)


class EraBook:
    """The verdicts of one state folder; `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._verdicts: dict[str, tuple[str, float]] = self._load()

    def entry(self, fingerprint: str) -> EraEntry:
        """`fingerprint` covers what decides the era: command, arguments and program version, or the URL."""
        return EraEntry(self, fingerprint)

    def recall(self, fingerprint: str) -> Era:
        era, at = self._verdicts.get(fingerprint, (Era.AUTO, 0.0))
        if era == Era.LEGACY and time.time() - at > TRUSTED_FOR_S:
            return Era.AUTO
        return Era(era)

    def remember(self, fingerprint: str, era: Era) -> None:
        known, _ = self._verdicts.pop(fingerprint, (Era.AUTO, 0.0))
        if era is not Era.AUTO:
            self._verdicts[fingerprint] = (era, time.time())
            while len(self._verdicts) > MAX_ENTRIES:
                del self._verdicts[next(iter(self._verdicts))]
        if era != known:
            self._save()

    def _load(self) -> dict[str, tuple[str, float]]:
        if self._path is None:
            return {}
        try:
            stored = json.loads(self._path.read_bytes())
            return {str(key): (Era(era).value, float(at)) for key, (era, at) in stored.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as unreadable:
            logger.warning("upstream.eras_unreadable reason=%s", type(unreadable).__name__)
            return {}

    def _save(self) -> None:
        if self._path is None:
            return
        try:
            write_private(self._path, json.dumps(self._verdicts).encode(), durable=False)
        except OSError as unwritable:
            logger.warning("upstream.eras_unwritable reason=%s", type(unwritable).__name__)
