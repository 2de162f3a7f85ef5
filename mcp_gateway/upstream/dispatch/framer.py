"""Lines out of chunks: the framing of a pipe, without I/O.

Chunks of any size enter, complete lines leave, the same ones wherever the chunks
were cut. A line above the cap is skipped to its end and reported once. What a
line means is not known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mcp_gateway.upstream.dispatch.salvage import HEAD_BYTES, TAIL_BYTES, Scan, id_from_tail, scan_head

ENDLESS = 4
"""A skipped line this many times the cap is called endless: nothing behind it can be waited for. Our choice."""


@dataclass(frozen=True, slots=True)
class Overlong:
    """A line above the cap was met.

    `id` is that of the answer it was, as far as a bounded scan can tell. `endless`
    says that the line has no end in sight, so that no other answer can come either.
    """

    id: int | None
    endless: bool = False


class LineFramer:
    """Cuts one byte stream into lines. Pieces are kept in a list, so a long line costs no repeated copying."""

    def __init__(self, max_line_bytes: int) -> None:
        self._max_line_bytes = max_line_bytes
        self._pieces: list[bytes] = []
        self._length = 0
        self._overlong: _Skip | None = None

    def feed(self, chunk: bytes) -> Iterable[bytes | Overlong]:
        """The lines that `chunk` completes, without line ends; blank ones are left out."""
        *ended, rest = chunk.split(b"\n")
        found: list[bytes | Overlong] = []
        for piece in ended:
            self._extend(piece, found)
            self._end(found)
        if rest:
            self._extend(rest, found)
        return found

    def _extend(self, piece: bytes, found: list[bytes | Overlong]) -> None:
        self._length += len(piece)
        if self._length <= self._max_line_bytes:
            self._pieces.append(piece)
            return
        if self._overlong is None:
            self._overlong = _Skip(b"".join(self._pieces), piece, min(HEAD_BYTES, self._max_line_bytes))
            self._pieces.clear()
        else:
            self._overlong.extend(piece)
        endless = self._length > ENDLESS * self._max_line_bytes
        found.extend(self._overlong.report(ended=False, endless=endless))

    def _end(self, found: list[bytes | Overlong]) -> None:
        if self._overlong is not None:
            found.extend(self._overlong.report(ended=True, endless=False))
        else:
            line = (self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)).rstrip(b"\r")
            if line and not line.isspace():
                found.append(line)
        self._pieces.clear()
        self._length = 0
        self._overlong = None


class _Skip:
    """A line being skipped: its first and last bytes, and whether it was reported."""

    def __init__(self, held: bytes, piece: bytes, head_bytes: int) -> None:
        self._scan: Scan = scan_head((held[:head_bytes] + piece[:head_bytes])[:head_bytes])
        self._tail = (held[-TAIL_BYTES:] + piece[-TAIL_BYTES:])[-TAIL_BYTES:]
        self._reported = False

    def extend(self, piece: bytes) -> None:
        self._tail = (self._tail + piece[-TAIL_BYTES:])[-TAIL_BYTES:]

    def report(self, *, ended: bool, endless: bool) -> list[Overlong]:
        """At most one report: as soon as the id is known, or at the end, or when the end is given up."""
        if self._reported or not (ended or endless or self._scan.id is not None):
            return []
        self._reported = True
        id = self._scan.id
        if id is None and ended and not self._scan.is_request:
            id = id_from_tail(self._tail)
        return [Overlong(id, endless=endless and id is None)]
