"""What becomes of the calls a model asks for. Pure but for the state, which it moves on.

A response enters; the state's round leaves, each call with its plan: made, looked up, confirmed first, or answered at
once with what is wrong with it. Every call that is kept gets an answer.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from mcp_gateway.llm.arguments import Unfit, parsed
from mcp_gateway.llm.bounds import Approval, Bounds, Confirm, StopReason
from mcp_gateway.llm.messages import LLMResponse, ToolCall, assistant
from mcp_gateway.llm.prompt import FIND_TOOLS, FIND_TOOLS_SCHEMA
from mcp_gateway.llm.result import CallReport, redacted
from mcp_gateway.llm.state import AskState, Plan, Planned, Seen
from mcp_gateway.llm.toolbox import Tool, needs_confirmation

MAX_CALLS_A_TURN: Final = 32
"""More of one turn are left out of the conversation as if they had not been asked for (our choice)."""

MAX_REPAIRS: Final = 2
"""Rounds with a call that cannot be made, before the model is not asked for calls any more (ask facts, 4.2)."""

MAX_REPEATS: Final = 2
"""Rounds that may ask for the same call; the next one is a loop (ask facts, 4.2)."""

DENIED: Final = "needs the confirmation of a person and did not get it"

_NAME: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Policy:
    """Who decides about calls that change something."""

    confirm: Confirm = Confirm.DESTRUCTIVE
    approval: Approval = Approval.DENY


def plan_round(state: AskState, response: LLMResponse, bounds: Bounds, policy: Policy) -> None:
    """Make the response the state's next round, and put it into the conversation under ids of our own.

    Servers leave out ids or use one twice, and choke on broken arguments in what was said before: neither goes back.
    """
    state.rounds += 1
    state.round = []
    asked = response.tool_calls[:MAX_CALLS_A_TURN]
    for call in asked:
        state.round.append(_planned(state, call, response.finish == "length", bounds, policy))
    said = [
        ToolCall(planned.id, planned.name, json.dumps(dict(planned.arguments), ensure_ascii=False))
        for planned in state.round
    ]
    state.messages.append(assistant(response.text, said))
    _judge(state)


def settle_confirmations(state: AskState, approved: dict[str, bool]) -> None:
    """Let the confirmed calls of the round run; the others are denied. Silence is no consent."""
    for planned in state.waiting():
        if approved.get(planned.id) is True:
            planned.plan = Plan.RUN
        else:
            _deny(planned)


def _planned(state: AskState, call: ToolCall, was_cut: bool, bounds: Bounds, policy: Policy) -> Planned:
    """1. above the bound  2. no such tool  3. unfit arguments  4. asked for before  5. our own search
    6. needs a person's word  7. is made."""
    tool = state.toolbox.find(call.name)
    name = tool.name if tool else call.name if _NAME.fullmatch(call.name) else "unknown"
    planned = _new(state, name, tool)
    if len(state.reports) > bounds.max_tool_calls:
        state.stop = StopReason.MAX_TOOL_CALLS
        return _wrong(planned, f"the limit of {bounds.max_tool_calls} calls is reached")
    is_search = tool is None and call.name == FIND_TOOLS
    if tool is None and not is_search:
        return _wrong(planned, _unknown(state, call.name))
    schema = tool.schema if tool else FIND_TOOLS_SCHEMA
    try:
        planned.arguments = parsed(call.arguments, schema, was_cut=was_cut)
    except Unfit as unfit:
        return _wrong(planned, str(unfit))
    planned.report.arguments = redacted(planned.arguments)
    if _is_repeated(state, planned):
        return planned
    if tool is None:
        planned.plan = Plan.FIND
    elif needs_confirmation(tool.effect, policy.confirm, tainted=state.tainted):
        _confirm(planned, state, policy, bounds)
    return planned


def _new(state: AskState, name: str, tool: Tool | None) -> Planned:
    id = f"call_{len(state.reports) + 1}"
    report = CallReport(id=id, tool=name, server=tool.server if tool else None)
    state.reports.append(report)
    return Planned(id, name, Plan.RUN, report, tool)


def _is_repeated(state: AskState, planned: Planned) -> bool:
    """Settle or join a call that was asked for before; the third round with it ends the asking."""
    key = _key(planned.name, planned.arguments)
    seen = state.seen.get(key)
    if seen is None:
        state.seen[key] = Seen(planned.id)
        return False
    planned.same_as = seen.id
    if any(other.id == seen.id or other.same_as == seen.id for other in state.round or ()):
        planned.plan = Plan.SAME
        return True
    seen.rounds += 1
    if seen.rounds > MAX_REPEATS:
        state.stop = StopReason.REPEATED_CALLS
    told = state.answers.get(seen.id, "")
    planned.settle(f"You made this call before, as {seen.id}; it was not made again. Its answer was:\n{told}")
    planned.report.follow(state.report(seen.id))
    return True


def _confirm(planned: Planned, state: AskState, policy: Policy, bounds: Bounds) -> None:
    if policy.approval is Approval.AUTO:
        return
    if policy.approval is Approval.DENY or state.forms >= bounds.max_forms:
        _deny(planned)
    else:
        planned.plan = Plan.CONFIRM


def _deny(planned: Planned) -> None:
    planned.settle(f"Not made: {planned.name} {DENIED}. Do not try to reach the same in another way.", error=DENIED)
    planned.report.denied = True


def _wrong(planned: Planned, reason: str) -> Planned:
    planned.settle(f"Not made: {reason}.", error=reason)
    return planned


def _unknown(state: AskState, name: str) -> str:
    near = ", ".join(state.toolbox.nearest(name))
    return "there is no tool of this name" + (f"; there are {near}" if near else "")


def _judge(state: AskState) -> None:
    """Count a round in which nothing could be made of any call."""
    planned = state.round or []
    fruitless = all(each.report.error is not None and not each.report.denied for each in planned)
    state.repairs += 1 if planned and fruitless and all(each.plan is Plan.SETTLED for each in planned) else 0
    if state.repairs > MAX_REPAIRS and state.stop is None:
        state.stop = StopReason.LLM_ERROR
        state.error = f"the model asked {state.repairs} times for calls that cannot be made"


def _key(name: str, arguments: Any) -> str:
    return f"{name} {json.dumps(arguments, sort_keys=True)}"
