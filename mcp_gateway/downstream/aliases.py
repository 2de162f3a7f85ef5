"""Request ids of our own for what is posted to a session.

The SDK keeps a session's answers apart by request id alone, and some clients post
every request with the same one: without aliases the answer of one call goes out
on another's stream (SDK facts, trap 3). Each request gets an id that nobody else
has; the client's own stands in its answer again.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from itertools import count
from typing import Final

from mcp_gateway.wire import RequestId, encode

ABANDONED: Final = 1024
"""Requests whose client left before the answer and that may still be cancelled by id (our choice)."""

_HEAD_BYTES = 96
"""An answer's id stands in front: `event: message`, `data: `, `{"jsonrpc":"2.0","id":`."""


class Alias:
    """One posted request under an id of ours, and under its own."""

    def __init__(self, id: str, original: RequestId) -> None:
        self.id = id
        self.answered = False
        self._mark = b'"id":%b' % encode(id)
        self._original = b'"id":%b' % encode(original)

    def restore(self, chunk: bytes) -> bytes:
        """A piece of the response, with the client's id where it holds the answer."""
        at = chunk.find(self._mark, 0, _HEAD_BYTES + len(self._mark))
        if at < 0:
            return chunk
        self.answered = True
        return chunk[:at] + self._original + chunk[at + len(self._mark) :]


class Aliases:
    """The aliases of every session."""

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(8)
        self._numbers = count(1)
        self._open: dict[tuple[str, RequestId], list[Alias]] = {}
        self._abandoned: OrderedDict[str, tuple[str, RequestId]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def lend(self, session: str, id: RequestId) -> Alias:
        """An alias for a request that is being posted; `give_back` it when its response has ended."""
        alias = Alias(f"{self._prefix}-{next(self._numbers)}", id)
        self._open.setdefault((session, id), []).append(alias)
        return alias

    def give_back(self, session: str, id: RequestId, alias: Alias) -> None:
        """The response has ended. Without an answer in it the call goes on, and may still be cancelled."""
        if alias.answered:
            self._forget((session, id), alias.id)
            return
        self._abandoned[alias.id] = (session, id)
        if len(self._abandoned) > ABANDONED:
            oldest, key = self._abandoned.popitem(last=False)
            self._forget(key, oldest)

    def of(self, session: str, id: RequestId) -> str | None:
        """Our id for the client's; None where it is not in flight, or where several requests share it."""
        aliases = self._open.get((session, id), [])
        return aliases[0].id if len(aliases) == 1 else None

    def _forget(self, key: tuple[str, RequestId], alias_id: str) -> None:
        left = [alias for alias in self._open[key] if alias.id != alias_id]
        if left:
            self._open[key] = left
        else:
            del self._open[key]
