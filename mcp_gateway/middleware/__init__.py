"""What happens to every call between the door and the upstream, one thing per file.

A middleware is `async (call, next) -> raw result`. Their order is the list in `app.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from mcp_gateway.call import Call
from mcp_gateway.wire import Raw

Next = Callable[[Call], Awaitable[Raw]]
Middleware = Callable[[Call, Next], Awaitable[Raw]]

__all__ = ["Middleware", "Next", "chain"]


def chain(middleware: Sequence[Middleware], last: Next) -> Next:
    """`last` wrapped in every middleware, the first one outermost."""
    step = last
    for layer in reversed(middleware):
        step = _around(layer, step)
    return step


def _around(layer: Middleware, inner: Next) -> Next:
    async def step(call: Call) -> Raw:
        return await layer(call, inner)

    return step
