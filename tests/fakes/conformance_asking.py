"""What the conformance fixture asks its caller the 2026-07-28 way: questions as a result, answers with the retry.

The tools and the prompt are a table of rounds; a round is the questions that must all be answered before the next one.
What the suite wants of each is in its scenarios `input-required-result-*`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.server import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

Context = ServerRequestContext[Any]
Question = Mapping[str, Any]
Round = Mapping[str, Question]

PUSHES: Mapping[str, tuple[type[types.ServerRequest], type[types.Result]]] = {
    "elicitation/create": (types.ElicitRequest, types.ElicitResult),
    "sampling/createMessage": (types.CreateMessageRequest, types.CreateMessageResult),
    "roots/list": (types.ListRootsRequest, types.ListRootsResult),
}
CAPABILITY_OF = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling", "roots/list": "roots"}


def elicit(message: str, field: str, kind: str = "string") -> Question:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return elicitation_question(message, schema)


def elicitation_question(message: str, schema: Mapping[str, Any]) -> Question:
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def sampling_question(prompt: str, max_tokens: int) -> Question:
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": max_tokens}}


ROOTS: Question = {"method": "roots/list", "params": {}}
CONFIRM = elicit("Please confirm", "ok", "boolean")
NAME = elicit("What is your name?", "name")


@dataclass(frozen=True)
class Inquiry:
    """The rounds of one tool or prompt; `sealed` ones carry a `requestState` that must come back unaltered."""

    rounds: tuple[Round, ...]
    sealed: bool = False
    only_declared: bool = False
    """Leave out what the client cannot answer, instead of refusing the call."""


INQUIRIES: Mapping[str, Inquiry] = {
    "test_input_required_result_elicitation": Inquiry(({"user_name": NAME},)),
    "test_input_required_result_sampling": Inquiry(
        ({"capital_question": sampling_question("What is the capital of France?", 100)},)
    ),
    "test_input_required_result_list_roots": Inquiry(({"client_roots": ROOTS},)),
    "test_input_required_result_request_state": Inquiry(({"confirm": CONFIRM},), sealed=True),
    "test_input_required_result_tampered_state": Inquiry(({"confirm": CONFIRM},), sealed=True),
    "test_input_required_result_multiple_inputs": Inquiry(
        ({"user_name": NAME, "greeting": sampling_question("Generate a greeting", 50), "client_roots": ROOTS},),
        sealed=True,
    ),
    "test_input_required_result_multi_round": Inquiry(
        (
            {"step1": elicit("Step 1: What is your name?", "name")},
            {"step2": elicit("Step 2: What is your favorite color?", "color")},
        ),
        sealed=True,
    ),
    "test_input_required_result_capabilities": Inquiry(
        ({"user_name": NAME, "greeting": sampling_question("Generate a greeting", 50)},), only_declared=True
    ),
    "test_streaming_elicitation": Inquiry(({"confirm": CONFIRM},)),
}

PROMPT_INQUIRIES: Mapping[str, Inquiry] = {
    "test_input_required_result_prompt": Inquiry(
        ({"user_context": elicit("What context should the prompt use?", "context")},)
    )
}


def next_question(
    ctx: Context, inquiry: Inquiry, answers: Mapping[str, Any] | None, state: str | None
) -> types.InputRequiredResult | None:
    """The questions still open, or None when all rounds are answered.

    Raises:
        MCPError: the state is not one of ours (-32602), or the client has not declared what a question needs (-32021).
    """
    number = 0 if state is None else _opened(state)
    given = {} if inquiry.sealed and state is None else answers or {}
    if given.keys() >= inquiry.rounds[number].keys():
        number += 1
    if number == len(inquiry.rounds):
        return None
    asked = {"inputRequests": _askable(ctx, inquiry, inquiry.rounds[number])}
    return types.InputRequiredResult.model_validate(asked | ({"requestState": _seal(number)} if inquiry.sealed else {}))


async def push(ctx: Context, inquiry: Inquiry) -> None:
    """Put all rounds to a client of an older revision, in requests of the server's own."""
    for questions in inquiry.rounds:
        for question in _askable(ctx, inquiry, questions).values():
            request, answer = PUSHES[question["method"]]
            await ctx.session.send_request(
                request.model_validate(question),
                answer,
                metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
            )


def demand(ctx: Context, capability: str) -> None:
    """Refuse the call of a client that has not declared the capability (2026-07-28, basic/index, "Error Codes")."""
    if not _declared(ctx, capability):
        data: dict[str, Any] = {"requiredCapabilities": {capability: {}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, f"needs the client capability {capability}", data)


def _askable(ctx: Context, inquiry: Inquiry, questions: Round) -> Round:
    if inquiry.only_declared:
        return {key: each for key, each in questions.items() if _declared(ctx, CAPABILITY_OF[each["method"]])}
    for each in questions.values():
        demand(ctx, CAPABILITY_OF[each["method"]])
    return questions


def _declared(ctx: Context, capability: str) -> bool:
    return getattr(ctx.session.client_capabilities, capability, None) is not None


def _seal(number: int) -> str:
    return f"{number}.{hmac.digest(b'the fixture', str(number).encode(), hashlib.sha256).hex()}"


def _opened(state: str) -> int:
    number = state.partition(".")[0]
    if not number.isdecimal() or not hmac.compare_digest(state, _seal(int(number))):
        raise MCPError(types.INVALID_PARAMS, "Invalid or expired requestState")
    return int(number)
