"""The gateway's log: standard error, text on a terminal and JSON elsewhere, secrets never.

Redaction, by value and by shape, is in the one handler that all records pass, so that it also covers
exceptions, child processes' standard error and every library's messages. A record is
one line that holds no control character, whatever a stranger put into it; only the
traceback of an exception takes more lines in the text form. What is logged while a call
is at work names its trace.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from mcp_gateway.observe.redaction import Redactor
from mcp_gateway.observe.text import visible, visible_json
from mcp_gateway.observe.trace import CURRENT

NOISY = ("mcp", "uvicorn", "httpx2", "httpcore2", "sse_starlette", "asyncio")
"""Libraries whose ordinary messages would drown ours."""

TAB = "\t"


class _Formatter(logging.Formatter):
    """What both forms share: the parts of a record, without secrets."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def parts(self, record: logging.LogRecord) -> dict[str, str]:
        """`message`, and `exception` and `stack` where there are any."""
        parts = {"message": record.getMessage()}
        if record.exc_info:
            parts["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            parts["stack"] = record.stack_info
        return {name: self._redactor.clean(text) for name, text in parts.items()}


class _TextFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        message, *blocks = self.parts(record).values()
        at = datetime.fromtimestamp(record.created).astimezone()
        trace = f" trace={current.id}" if (current := CURRENT.get()) else ""
        line = f"{at:%H:%M:%S} {record.levelname:<7} {record.name} {visible(message, keep=TAB)}{trace}"
        return "\n".join([line, *(visible(block, keep=f"{TAB}\n") for block in blocks)])


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **({"trace": current.id} if (current := CURRENT.get()) else {}),
            **self.parts(record),
        }
        return visible_json(json.dumps(line, ensure_ascii=False))


def configure_logging(level: str, format: str, redactor: Redactor) -> None:
    """Send the whole process's log to standard error. `format` is auto, text or json; `level` a lower-case name."""
    text = format == "text" or (format == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_TextFormatter(redactor) if text else _JsonFormatter(redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
