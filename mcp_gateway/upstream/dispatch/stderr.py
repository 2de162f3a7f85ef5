"""What a child says on its standard error: the last of it is kept, lines are logged at DEBUG.

Chunks enter; a tail for operators and log records leave. It never reaches a
caller. Secrets are taken out by the logging filter, not here.
"""

from __future__ import annotations

import logging

from mcp_gateway.upstream.dispatch.rate import RateGate

logger = logging.getLogger("mcp_gateway.upstream.stderr")

TAIL_BYTES = 4096
LINE_BYTES = 4096
LINES_PER_S = 100
"""Caps of what is kept, of one logged line, and of lines logged per second (security facts, 1.2 row 11 and 3.4)."""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code != ord("\t")}
"""Terminal escapes in a log are an attack on whoever reads it."""


class StderrTail:
    """One child's standard error."""

    def __init__(self, server: str) -> None:
        self.dropped_lines = 0
        self._server = server
        self._tail = b""
        self._cut = False
        self._line = b""
        self._gate = RateGate(LINES_PER_S)

    @property
    def text(self) -> str:
        """The last lines, undecodable bytes replaced. A line without its beginning is left out: it may start with half
        a secret, which nobody would recognise."""
        tail = self._tail.partition(b"\n")[2] if self._cut else self._tail
        return tail.decode("utf-8", "replace")

    def feed(self, chunk: bytes) -> None:
        self._cut = self._cut or len(self._tail) + len(chunk) > TAIL_BYTES
        self._tail = (self._tail + chunk[-TAIL_BYTES:])[-TAIL_BYTES:]
        if not logger.isEnabledFor(logging.DEBUG):
            return
        first, *others = chunk.split(b"\n")
        self._line += first[: LINE_BYTES - len(self._line)]
        for line in others:
            self._log()
            self._line = line[:LINE_BYTES]

    def close(self) -> None:
        """Log what came after the last line end."""
        self._log()
        self._line = b""

    def _log(self) -> None:
        if not self._line.strip():
            return
        if not self._gate.allows():
            self.dropped_lines += 1
            return
        text = self._line.decode("utf-8", "replace").rstrip().translate(_CONTROL)
        logger.debug("upstream.stderr name=%s %s", self._server, text)
