"""Making the calls of a round, side by side, through the gateway's own path.

The state's round enters with its plans and leaves with its answers. What a tool does or how it fails never raises
here; a failing tool is an answer for the model.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio

from mcp_gateway.cache.answer import CACHE_META_KEY
from mcp_gateway.call import Call, Client, Sink
from mcp_gateway.catalog.text import clean
from mcp_gateway.errors import METHOD_NOT_FOUND, GatewayError, RpcError
from mcp_gateway.llm.bounds import BYTES_PER_TOKEN, Bounds
from mcp_gateway.llm.events import Emit, ToolAnswered, ToolCalled
from mcp_gateway.llm.fence import fenced, result_text
from mcp_gateway.llm.result import EXCERPT_CHARS
from mcp_gateway.llm.retrieval import described
from mcp_gateway.llm.state import AskState, Plan, Planned
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.security.principal import Principal
from mcp_gateway.wire import Malformed, Raw, RawParams, loads

CALL_SCOPES: Final = frozenset({"read", "call"})
"""What an ask may do in its caller's name: no `ask`, no `admin`, and `execute` only where it was named."""

LEAST_RESULT_CHARS: Final = 1000

Route = Callable[[Call, Sink], Awaitable[Raw]]
"""The gateway's one path."""

Search = Callable[[Sequence[str], int], Awaitable[list[str]]]
"""Exposed names of the tools that fit the queries, best first."""


@dataclass(frozen=True, slots=True)
class Caller:
    """In whose name calls are made, as `client.principal`, and how that person is reached while they run."""

    client: Client
    sink: Sink


def narrowed(principal: Principal, *, may_execute: bool) -> Principal:
    """The same person with less reach; never more than the person has."""
    scopes = CALL_SCOPES | {"execute"} if may_execute else CALL_SCOPES
    return replace(principal, scopes=principal.scopes & scopes)


class Runner:
    """Makes calls for one ask. `deadline_monotonic_s` is when all of it has to be over."""

    def __init__(
        self, route: Route, search: Search, caller: Caller, bounds: Bounds, emit: Emit, deadline_monotonic_s: float
    ) -> None:
        self._route = route
        self._search = search
        self._sink = _Inner(caller.sink, asks=not caller.client.modern)
        self._client = _inner(caller.client)
        self._bounds = bounds
        self._emit = emit
        self._deadline_monotonic_s = deadline_monotonic_s

    async def run(self, state: AskState) -> None:
        """Answer every call of the round whose plan is to be made or looked up."""
        planned = [each for each in state.round or () if each.plan in (Plan.RUN, Plan.FIND)]
        limit_chars = _room(state, self._bounds, len(planned))
        places = anyio.CapacityLimiter(self._bounds.at_once)

        async def one(each: Planned) -> None:
            async with places:
                await self._one(state, each, limit_chars)

        async with anyio.create_task_group() as group:
            for each in planned:
                group.start_soon(one, each)

    async def _one(self, state: AskState, planned: Planned, limit_chars: int) -> None:
        self._emit(ToolCalled(planned.id, planned.name, planned.report.arguments))
        started_s = time.monotonic()
        try:
            if planned.plan is Plan.FIND:
                await self._find(state, planned)
            else:
                await self._call(state, planned, limit_chars)
        finally:
            report = planned.report
            report.ms = round((time.monotonic() - started_s) * 1000)
            self._emit(ToolAnswered(report.id, report.tool, report.ok, report.ms, report.cached, report.result_excerpt))

    async def _find(self, state: AskState, planned: Planned) -> None:
        """Look again among the allowed tools; what is found is offered from the next turn on."""
        queries = [str(query)[:400] for query in planned.arguments["queries"]][:8] or [state.question]
        names = await self._search(queries, 4 * self._bounds.candidates)
        found = [state.toolbox.tools[name] for name in names if name in state.toolbox.tools][: self._bounds.candidates]
        state.offered = list(dict.fromkeys([*(state.offered or ()), *(tool.name for tool in found)]))
        lines = described([tool.function["function"] for tool in found]) or ["No tool fits."]
        planned.settle(fenced("\n".join(lines), planned.id, state.nonce, self._bounds.max_result_chars))
        planned.report.result_excerpt = f"{len(found)} tools found"

    async def _call(self, state: AskState, planned: Planned, limit_chars: int) -> None:
        text, error, cached = await self._answer(state, planned)
        state.tainted = True
        answer = fenced(text, planned.id, state.nonce, limit_chars)
        state.spent_bytes += len(answer.encode())
        planned.settle(answer if error is None else f"The call failed.\n{answer}", error=error)
        planned.report.cached = cached
        planned.report.result_excerpt = " ".join(clean(text).split())[:EXCERPT_CHARS]

    async def _answer(self, state: AskState, planned: Planned) -> tuple[str, str | None, bool]:
        """The tool's text, what went wrong if anything did, and whether the cache answered."""
        params = {"name": planned.name, "arguments": dict(planned.arguments), "_meta": state.trace.onward}
        left_s = self._deadline_monotonic_s - time.monotonic()
        deadline_s = max(0.1, min(self._bounds.tool_s, left_s))
        call = Call("tools/call", params, self._client, self._sink, deadline_s=deadline_s)
        try:
            with anyio.fail_after(deadline_s + 1):
                result = loads(await self._route(call, self._sink))
        except TimeoutError:
            return "", f"no answer within {deadline_s:.0f} s", False
        except GatewayError as failed:
            return failed.message, failed.code, False
        except RpcError as refused:
            return str(refused.error["message"]), "upstream_error", False
        except Malformed:
            return "", "the tool's answer is not valid JSON", False
        return _read(result)


def _read(result: Any) -> tuple[str, str | None, bool]:
    if not isinstance(result, dict):
        return "", "the tool's answer is no result", False
    meta = result.get("_meta")
    mark = meta.get(CACHE_META_KEY) if isinstance(meta, dict) else None
    cached = isinstance(mark, dict) and mark.get("hit") is True
    return result_text(result), "the tool reported an error" if result.get("isError") else None, cached


def _room(state: AskState, bounds: Bounds, calls: int) -> int:
    """Characters each result of a round may have: half of what the budget still holds, shared among them."""
    left_bytes = min((bounds.max_tokens - state.spent_tokens) * BYTES_PER_TOKEN, bounds.max_bytes - state.spent_bytes)
    return min(bounds.max_result_chars, max(LEAST_RESULT_CHARS, left_bytes // 2 // max(1, calls)))


def _inner(client: Client) -> Client:
    """The caller as its tools meet it: a result is whole at once, and only a session's client can be asked."""
    capabilities: Mapping[str, Any] = {} if client.modern else client.capabilities
    return replace(client, revision=LATEST_LEGACY, capabilities=capabilities, door="ask")


class _Inner:
    """The way back of the calls within an ask: their questions reach the person, their progress does not."""

    token: str | int | None = None

    def __init__(self, sink: Sink, *, asks: bool) -> None:
        self.owner = sink.owner
        self._sink = sink
        self._asks = asks

    def notify(self, method: str, params: RawParams) -> None:
        return

    async def request(self, method: str, params: RawParams) -> Raw:
        if not self._asks:
            raise RpcError.of(METHOD_NOT_FOUND, f"nobody can be asked within this ask: {method}")
        return await self._sink.request(method, params)
