"""Bytes between the run's pipes and their other ends, without ever blocking and never more than agreed."""

from __future__ import annotations

import os
import select

_CHUNK_BYTES = 1 << 16
_PIPE_BUF_BYTES = 4096
"""A pipe that polls as writable takes this much without blocking (pipe(7))."""

_BEGINNING_BYTES = 512


class Output:
    """One of the run's output streams: collected, or copied to `target` when there is one.

    `beginning` keeps the first bytes, also when they were copied on. `full` becomes True when the program has written
    more than `limit` bytes; the surplus is dropped.
    """

    def __init__(self, source: int, target: int | None, limit: int | None) -> None:
        os.set_blocking(source, False)
        self.source, self.target = source, target
        self._left = limit
        self.data = bytearray()
        self.beginning = b""
        self.full = False
        self.open = True
        self.count = 0

    def wants(self) -> tuple[int, int] | None:
        """The descriptor to wait for, and the event; None when there is nothing to wait for."""
        if self.target is not None and self.data:
            return self.target, select.POLLOUT
        return (self.source, select.POLLIN) if self.open else None

    def move(self) -> None:
        if self.target is not None and self.data:
            self._pass_on()
        elif self.open:
            self.read()

    def read(self) -> bool:
        """Take what is there; False when there was nothing."""
        try:
            chunk = os.read(self.source, _CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self.open = False
            return False
        if self._left is not None:
            self.full = self.full or len(chunk) > self._left
            chunk = chunk[: self._left]
            self._left -= len(chunk)
        self.beginning += chunk[: _BEGINNING_BYTES - len(self.beginning)]
        self.count += len(chunk)
        self.data += chunk
        return not self.full

    def drain(self) -> None:
        """Take what is left in the pipe; a survivor that holds it open is not waited for."""
        while self.open and self.read():
            pass
        while self.target is not None and self.data:
            self._pass_on()

    def _pass_on(self) -> None:
        assert self.target is not None
        try:
            done = os.write(self.target, self.data[:_PIPE_BUF_BYTES])
        except OSError:
            # The reader is gone: so is the need for the rest, and the program learns it by its closed pipe.
            self.data.clear()
            self.open = False
            os.close(self.source)
            return
        del self.data[:done]


class Input:
    """The run's standard input: given bytes, or whatever `source` yields."""

    def __init__(self, target: int, source: int | None, data: bytes) -> None:
        os.set_blocking(target, False)
        self.target, self.source = target, source
        self._data = bytearray(data)
        self.open = True
        self._close_when_done()

    def wants(self) -> tuple[int, int] | None:
        if not self.open:
            return None
        if self._data:
            return self.target, select.POLLOUT
        assert self.source is not None
        return self.source, select.POLLIN

    def move(self) -> None:
        try:
            if self._data:
                del self._data[: os.write(self.target, self._data)]
            elif self.source is not None:
                self._data += (chunk := os.read(self.source, _CHUNK_BYTES))
                if not chunk:
                    self.source = None
        except BlockingIOError:
            return
        except OSError:
            self._data.clear()
            self.source = None
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self.open and not self._data and self.source is None:
            self.open = False
            os.close(self.target)
