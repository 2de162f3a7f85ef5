"""Tools of 2025-11-25 that run only as tasks, taken to their end for callers that know no tasks.

The params of a `tools/call` enter, the tool's own result leaves. While the task runs its state is asked for and told as
progress. A caller that gives up cancels the task. 2026-07-28 has tasks of another shape, which are not made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import anyio

from mcp_gateway.call import Sink
from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError, UpstreamProtocolError
from mcp_gateway.upstream.session import Link, Session
from mcp_gateway.wire import Malformed, Raw, RawParams, fields, loads

TTL_MS: Final = 3_600_000
"""How long we ask that a task be kept: as long as a call may last at most."""

POLL_S: Final = 1.0
"""How often a task is asked for its state when its server does not say (our choice)."""

SHORTEST_POLL_S: Final = 0.1
"""However often a server would like to be asked (our choice)."""

CANCEL_WITHIN_S: Final = 1.0
"""How long giving up waits for the server to hear of it (our choice)."""


def runs_only_as_task(refused: RpcError, params: Mapping[str, Any], session: Session) -> bool:
    """Whether a `tools/call` was refused for want of a task; then it was not run.

    A tool with `taskSupport: required` answers so (2025-11-25, basic/utilities/tasks, tool-level negotiation).
    """
    offered: Any = session.capabilities.get("tasks")
    for name in ("requests", "tools", "call"):
        offered = offered.get(name) if isinstance(offered, Mapping) else None
    is_offered = isinstance(offered, Mapping) and not session.modern
    return is_offered and "task" not in params and refused.error["code"] == METHOD_NOT_FOUND


async def run_as_task(link: Link, params: RawParams, headers: Mapping[str, str], sink: Sink) -> Raw:
    """Start the task, and wait for the tool's result. Raises as `Dispatcher.call` does."""
    created = await link.dispatcher.call("tools/call", {**params, "task": {"ttl": TTL_MS}}, sink, headers=headers)
    task = _task(link, created)
    result: list[Raw | Exception] = []
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_tell, link, task, sink)
            result.append(await _result(link, task, sink))
            group.cancel_scope.cancel()
    except anyio.get_cancelled_exc_class():
        await _cancel(link, task)
        raise
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


async def _result(link: Link, task: Mapping[str, Any], sink: Sink) -> Raw | Exception:
    """The answer comes once the task has ended; what it asks meanwhile comes to this request. Errors are values."""
    try:
        return await link.dispatcher.call("tasks/result", {"taskId": task["taskId"]}, sink)
    except (RpcError, GatewayError) as failure:
        return failure


async def _tell(link: Link, task: Mapping[str, Any], sink: Sink) -> None:
    """Tell how the task goes, until cancelled. A server that does not answer is not asked any more."""
    if sink.token is None:
        return
    wish_ms = task.get("pollInterval")
    poll_s = max(wish_ms / 1000, SHORTEST_POLL_S) if isinstance(wish_ms, int | float) else POLL_S
    told = 0
    while True:
        await anyio.sleep(poll_s)
        try:
            now = loads(await link.dispatcher.call("tasks/get", {"taskId": task["taskId"]}, sink))
        except (RpcError, GatewayError, Malformed):
            return
        told += 1
        message = now.get("statusMessage") or now.get("status") if isinstance(now, dict) else None
        sink.notify("notifications/progress", {"progress": told, "message": str(message)})


async def _cancel(link: Link, task: Mapping[str, Any]) -> None:
    with anyio.move_on_after(CANCEL_WITHIN_S, shield=True):
        try:
            await link.dispatcher.call("tasks/cancel", {"taskId": task["taskId"]})
        except (RpcError, GatewayError):
            return  # it has ended by itself, or with its server


def _task(link: Link, created: Raw) -> Mapping[str, Any]:
    try:
        task = loads(fields(created)["task"])
    except (Malformed, KeyError):
        task = None
    if not isinstance(task, dict) or not isinstance(task.get("taskId"), str):
        server = link.dispatcher.server
        raise UpstreamProtocolError(f"upstream {server!r} was asked for a task and answered with none", server=server)
    return task
