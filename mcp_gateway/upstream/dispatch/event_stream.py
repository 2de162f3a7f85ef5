"""Server-sent events, decoded as the bytes come in.

Chunks of any size enter, whole events leave; where the chunks were cut makes no
difference. Pure: no I/O, no JSON, no idea what the events are about. The rules are
those of the HTML standard, section 9.2.6 (event stream interpretation).
"""

from __future__ import annotations

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event, or one line, grew beyond the cap."""


class ServerSentEvent(NamedTuple):
    """One dispatched event; `data` joins its data lines with newlines and may be empty."""

    type: str
    data: bytes


class EventStream:
    """One stream being decoded.

    Attributes:
        last_event_id: what a reconnect sends as `Last-Event-ID`; empty while the server gave none.
        retry_ms: the reconnection time the server asked for, or None.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self.last_event_id = ""
        self.retry_ms: int | None = None
        self._max_event_bytes = max_event_bytes
        self._first_line = True
        self._after_cr = False
        self._pieces: list[bytes] = []  # of the line that is not finished yet
        self._pieces_bytes = 0
        self._event_bytes = 0  # in the finished lines of the event that is not finished yet
        self._type = b""
        self._id = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes and return the events they complete.

        Raises:
            EventTooLarge: the cap was passed; the stream cannot be used any further.
        """
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        events: list[ServerSentEvent] = []
        for line in chunk.splitlines(keepends=True):
            bare = line.rstrip(b"\r\n")
            if len(bare) == len(line):
                self._hold(line)  # the end of the chunk, not of the line
            else:
                self._take_line(bare, events)
        self._after_cr = self._after_cr or chunk.endswith(b"\r")
        return events

    def _hold(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._pieces_bytes += len(piece)
        self._check_size()

    def _check_size(self) -> None:
        if self._event_bytes + self._pieces_bytes > self._max_event_bytes:
            raise EventTooLarge(f"an event of more than {self._max_event_bytes} bytes")

    def _take_line(self, line: bytes, events: list[ServerSentEvent]) -> None:
        if self._pieces:
            self._hold(line)
            line = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces_bytes = 0
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(BOM)
        if not line:
            self._dispatch(events)
        elif not line.startswith(b":"):
            self._event_bytes += len(line)
            self._check_size()
            self._take_field(line)

    def _take_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._type = value
        elif name == b"id" and b"\0" not in value:
            self._id = value
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self.retry_ms = int(value)

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        self.last_event_id = self._id.decode("utf-8", "replace")
        if self._data:
            events.append(ServerSentEvent(self._type.decode("utf-8", "replace") or "message", b"\n".join(self._data)))
            self._data.clear()
        self._type = b""
        self._event_bytes = 0
