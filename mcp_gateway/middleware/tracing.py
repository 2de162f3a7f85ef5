"""Gives every call a span of its own in its trace, for the upstream to name as its parent.

In the list of middleware only where spans are exported: elsewhere a caller's trace goes on as it came. A trace that
whoever began it does not record (W3C Trace Context, section 3.2.2.5.1) is left alone.
"""

from __future__ import annotations

from mcp_gateway.call import Call
from mcp_gateway.middleware import Next
from mcp_gateway.observe.trace import at_work
from mcp_gateway.wire import Raw


async def tracing(call: Call, next: Next) -> Raw:
    """Middleware."""
    if not call.trace.is_sampled:
        return await next(call)
    call.trace = call.trace.recorded()
    with at_work(call.trace):
        return await next(call)
