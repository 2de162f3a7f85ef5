"""The calls in flight on one shared pipe, and whose mid-call traffic can be told apart.

Requests enter when they are written and leave with their outcome. Who a stray
message belongs to is decided here; nothing is sent or received.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from mcp_gateway.call import Sink
from mcp_gateway.errors import GatewayError, RpcError
from mcp_gateway.wire import Raw

Outcome = Raw | GatewayError | RpcError
"""How a call ended. Errors travel as values: an exception set on a future nobody reads any more would be logged."""

LISTEN = "subscriptions/listen"
"""Its messages carry its id, so it takes no part in guessing (2026-07-28, basic/patterns/subscriptions)."""


@dataclass(frozen=True, slots=True)
class Pending:
    """One request that was written and not answered yet."""

    id: int
    method: str
    sink: Sink
    outcome: asyncio.Future[Outcome]

    def end(self, outcome: Outcome) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class PendingCalls:
    """Calls by id, in the order they were written."""

    def __init__(self) -> None:
        self._calls: dict[int, Pending] = {}
        self._owners: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, id: int, method: str, sink: Sink) -> Pending:
        call = Pending(id, method, sink, asyncio.get_running_loop().create_future())
        self._calls[id] = call
        if method != LISTEN:
            self._owners[sink.owner] += 1
        return call

    def get(self, id: int | None) -> Pending | None:
        return None if id is None else self._calls.get(id)

    def take(self, id: int | None) -> Pending | None:
        """Remove and return a call; None when it is not in flight (any more)."""
        call = None if id is None else self._calls.pop(id, None)
        if call is not None and call.method != LISTEN:
            self._release(call.sink.owner)
        return call

    def _release(self, owner: str) -> None:
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]

    def ids(self) -> tuple[int, ...]:
        return tuple(self._calls)

    def has_owner(self, owner: str) -> bool:
        return owner in self._owners

    def sole_sink(self) -> Sink | None:
        """The newest call's sink when all calls in flight are of one owner; None when it would be a guess."""
        if len(self._owners) != 1:
            return None
        return next(call.sink for call in reversed(self._calls.values()) if call.method != LISTEN)
