"""How an ask ends: the state's last words as a result. Pure.

An answer where there is one, else what came of it, in words; and always every call with its outcome.
"""

from __future__ import annotations

from mcp_gateway.llm.bounds import StopReason
from mcp_gateway.llm.fence import shown
from mcp_gateway.llm.result import AskResult, TokensUsed, cited
from mcp_gateway.llm.service import LLMService
from mcp_gateway.llm.state import AskState

_WHY = {
    StopReason.MAX_ROUNDS: "the model kept calling tools until its turns were used up",
    StopReason.MAX_TOOL_CALLS: "the model used up the calls that it may make",
    StopReason.MAX_TOKENS: "the budget of tokens is used up",
    StopReason.MAX_BYTES: "the tools answered with more than may be read",
    StopReason.REPEATED_CALLS: "the model repeated the same call",
    StopReason.DEADLINE: "the time is up",
    StopReason.LLM_ERROR: "the model failed",
}


def ended(state: AskState, service: LLMService) -> AskResult:
    """The result of an ask that goes no further."""
    answer = shown(state.answer) if state.answer is not None else _remains(state)
    _tell_left_out(state)
    return AskResult(
        answer=answer,
        model=state.model or service.model,
        mode=service.mode,
        stop_reason=_reason(state),
        rounds=state.rounds,
        tool_calls=state.reports,
        usage=TokensUsed(input=state.usage.input, output=state.usage.output),
        citations=cited(answer, state.reports),
        notes=state.notes,
        error=state.error,
        error_code=state.error_code,
    )


def _reason(state: AskState) -> StopReason:
    """A reason to stop counts before a denial, and a denial before a plain end."""
    if state.stop is not None:
        return state.stop
    return StopReason.DENIED if any(call.denied for call in state.reports) else StopReason.COMPLETED


def _remains(state: AskState) -> str:
    """In place of an answer: why there is none, what the model had begun to say, and what the tools brought."""
    why = _WHY.get(state.stop or StopReason.LLM_ERROR, "the ask was stopped")
    detail = f": {state.error}" if state.error else ""
    lines = [f"There is no complete answer: {why}{detail}."]
    if state.partial.strip():
        lines += ["", "The model had begun to say:", shown(state.partial)]
    brought = [f"- {call.id} {call.tool}: {call.result_excerpt}" for call in state.reports if call.ok]
    if brought:
        lines += ["", "The tools answered:", *brought]
    return "\n".join(lines)


def _tell_left_out(state: AskState) -> None:
    """A person who misses something learns how to allow it."""
    left_out = state.toolbox.left_out
    if left_out and not state.reports:
        more = ", ..." if len(left_out) > 5 else ""
        state.note(
            f"Not offered to the model, since they may change things: {', '.join(left_out[:5])}{more}. "
            "Name one in full under tools to allow it."
        )
