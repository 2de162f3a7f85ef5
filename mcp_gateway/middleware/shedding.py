"""Nothing new is taken on while the gateway is near a limit of its own; what is under way goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mcp_gateway.call import Call
from mcp_gateway.errors import Overloaded
from mcp_gateway.middleware import Next
from mcp_gateway.wire import Raw

RETRY_AFTER_S: Final = 5.0
"""Our choice: a few looks at the memory."""


class Shedding:
    """Middleware. `reason` says why calls are refused, None when they are not."""

    def __init__(self, reason: Callable[[], str | None]) -> None:
        self._reason = reason

    async def __call__(self, call: Call, proceed: Next) -> Raw:
        """Raises Overloaded. Why is for the operator: the caller hears when to try again."""
        if self._reason() is None:
            return await proceed(call)
        refusal = Overloaded(f"the gateway is short of memory; try again in {RETRY_AFTER_S:.0f} s")
        refusal.retry_after_s = RETRY_AFTER_S
        raise refusal
