"""Where an ask stands: everything that has been said and done, as plain values.

It waits for nobody and holds no connection, so whoever keeps it can go on later, in another request, without running
anything twice. It lives in the memory of one process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from mcp_gateway.llm.bounds import StopReason
from mcp_gateway.llm.fence import new_nonce
from mcp_gateway.llm.messages import Message, Messages, Usage, system, tool
from mcp_gateway.llm.prompt import instructions
from mcp_gateway.llm.result import CallReport
from mcp_gateway.llm.toolbox import Tool, Toolbox
from mcp_gateway.llm.trace import Trace


class Plan(StrEnum):
    """What is to become of a call."""

    RUN = "run"
    FIND = "find"
    CONFIRM = "confirm"
    SAME = "same"
    SETTLED = "settled"


@dataclass(slots=True)
class Planned:
    """One call of a round. `answer` is what the model is told, None while that is open."""

    id: str
    name: str
    plan: Plan
    report: CallReport
    tool: Tool | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    same_as: str | None = None
    answer: str | None = None

    def settle(self, answer: str, *, error: str | None = None) -> None:
        self.plan, self.answer = Plan.SETTLED, answer
        self.report.ok, self.report.error = error is None, error


@dataclass(slots=True)
class Seen:
    """A call made before: where its answer stands, and in how many rounds it was asked for."""

    id: str
    rounds: int = 1


@dataclass(slots=True)
class AskState:
    """One ask. `question` is what tools are looked for with; `round` is the round that is not finished, if any."""

    messages: list[Message]
    toolbox: Toolbox
    question: str
    nonce: str
    trace: Trace = field(default_factory=Trace)
    offered: list[str] | None = None
    reports: list[CallReport] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    seen: dict[str, Seen] = field(default_factory=dict)
    round: list[Planned] | None = None
    rounds: int = 0
    forms: int = 0
    repairs: int = 0
    tainted: bool = False
    usage: Usage = field(default_factory=Usage)
    spent_tokens: int = 0
    spent_bytes: int = 0
    stop: StopReason | None = None
    answer: str | None = None
    partial: str = ""
    model: str = ""
    error: str | None = None
    error_code: str | None = None
    notes: list[str] = field(default_factory=list)
    takes_tools: bool = True
    is_silent: bool = False

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def report(self, id: str) -> CallReport:
        return next(report for report in self.reports if report.id == id)

    def waiting(self) -> list[Planned]:
        """The calls of the round that somebody has to confirm."""
        return [planned for planned in self.round or () if planned.plan is Plan.CONFIRM]

    def close_round(self, reason: str) -> None:
        """Tell the model what became of every call of the round; those still open failed for `reason`."""
        for planned in self.round or ():
            if planned.plan is Plan.SAME and planned.same_as is not None:
                planned.settle(f"The same call as {planned.same_as}: see there.")
                planned.report.follow(self.report(planned.same_as))
            elif planned.answer is None:
                planned.settle(f"Not finished: {reason}.", error=reason)
            self.answers[planned.id] = planned.answer or ""
            self.messages.append(tool(planned.id, planned.answer or ""))
        self.round = None


def begin(messages: Messages, toolbox: Toolbox, question: str, trace: Trace | None = None) -> AskState:
    """A new ask: our instructions, then what the caller says."""
    nonce = new_nonce()
    return AskState([system(instructions(nonce)), *messages], toolbox, question, nonce, trace or Trace())
