"""The gateway's log: standard error, text on a terminal and JSON elsewhere, secrets never.

Redaction is by value and happens on the finished line, so that it also covers
exceptions, child processes' standard error and every library's messages.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

HIDDEN = "[redacted]"

NOISY = ("mcp", "uvicorn", "httpx2", "httpcore2", "watchfiles", "sse_starlette", "asyncio")
"""Libraries whose ordinary messages would drown ours."""


class Redactor:
    """Replaces every known secret in a text; `know` may be called again after a reload."""

    def __init__(self) -> None:
        self._pattern: re.Pattern[str] | None = None

    def know(self, secrets: Iterable[str]) -> None:
        longest_first = sorted({secret for secret in secrets if secret}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def clean(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)


class _Formatter(logging.Formatter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s %(message)s", "%H:%M:%S")
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        return self._redactor.clean(super().format(record))


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._redactor.clean(json.dumps(line, ensure_ascii=False))


def configure_logging(level: str, format: str, redactor: Redactor) -> None:
    """Send the whole process's log to standard error. `format` is auto, text or json; `level` a lower-case name."""
    text = format == "text" or (format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(redactor) if text else _JsonFormatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
