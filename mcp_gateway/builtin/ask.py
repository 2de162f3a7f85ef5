"""`ask`: a model answers a question with the tools of all servers.

The caller's question and wishes enter, an answer with everything that was done for it leaves. The loop is `llm`'s; this
module knows the caller: what it may use, how it is told of progress, how a person is asked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal

import anyio
from pydantic import Field, model_validator

from mcp_gateway.builtin.ask_progress import AskProgress
from mcp_gateway.builtin.functions import Arguments, Builtin, Context, NeedsInput, Result, builtin
from mcp_gateway.builtin.services import Services
from mcp_gateway.call import Call
from mcp_gateway.catalog import Kind
from mcp_gateway.config.parts import AskTool
from mcp_gateway.errors import RpcError
from mcp_gateway.llm.bounds import Approval, Bounds, Confirm, StopReason
from mcp_gateway.llm.confirmation import CONFIRM_KEY, METHOD, approvals, form
from mcp_gateway.llm.lookup import looked_up
from mcp_gateway.llm.loop import AskLoop, Question
from mcp_gateway.llm.messages import Message, assistant, last_question, user
from mcp_gateway.llm.planning import Policy
from mcp_gateway.llm.result import AskResult
from mcp_gateway.llm.running import Caller, Runner, Search, narrowed
from mcp_gateway.llm.sampling import SamplingService, can_sample
from mcp_gateway.llm.service import LLMService, Mode
from mcp_gateway.llm.state import AskState, begin
from mcp_gateway.llm.toolbox import EXECUTE, Choice, toolbox, usable
from mcp_gateway.llm.trace import ASK_MARK, Trace
from mcp_gateway.parking import Parking, state_of, subject_of
from mcp_gateway.wire import Malformed, encode, loads

ANSWER_SHARE: Final = 0.6
"""How much of the time left a person may take in a session; the rest is for the answer (our choice)."""

_FORM: Final = "confirm"


class AskMessage(Arguments):
    """One message of the conversation so far."""

    role: Literal["user", "assistant"]
    content: str = Field(min_length=1)


class AskArguments(Arguments):
    """What to answer: `question`, or a conversation in `messages`."""

    question: str | None = Field(default=None, min_length=1, max_length=32_768, description="The question.")
    messages: list[AskMessage] = Field(
        default_factory=list, max_length=100, description="Instead of question: the conversation so far."
    )
    tools: list[str] = Field(
        default_factory=list,
        max_length=64,
        description="Tools to use, as globs; one that changes things must be named in full. "
        "Empty: all that read only or say that they destroy nothing.",
    )
    servers: list[str] = Field(default_factory=list, max_length=64, description="Servers to use, as globs.")
    read_only: bool = Field(default=False, description="Use nothing that can change anything.")

    @model_validator(mode="after")
    def _one_way(self) -> AskArguments:
        if (self.question is None) == (not self.messages):
            raise ValueError("give either question or messages")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last of the messages must be the user's")
        return self

    @property
    def conversation(self) -> list[Message]:
        if self.question is not None:
            return [user(self.question)]
        return [
            user(message.content) if message.role == "user" else assistant(message.content) for message in self.messages
        ]

    @property
    def choice(self) -> Choice:
        return Choice(tuple(self.tools), tuple(self.servers), self.read_only)


class AskAnswer(AskResult, Result):
    """An answer and how it came about."""

    def text(self) -> str:
        return "\n\n".join([self.answer, *(f"Note: {note}" for note in self.notes)])

    @property
    def is_error(self) -> bool:
        return self.stop_reason is StopReason.LLM_ERROR


def ask_tool(settings: AskTool, services: Services) -> Builtin:
    """The tool, with the model that is in force when it is called."""

    @builtin(
        title="Ask",
        readOnlyHint=False,
        destructiveHint=True,
        idempotentHint=False,
        openWorldHint=True,
        meta={ASK_MARK: True},
    )
    async def ask(arguments: AskArguments, context: Context) -> AskAnswer:
        """Have a language model answer a question with the tools of this gateway.

        It uses tools that only read unless others are named, and asks before a call that may destroy something.
        Without a model it answers with the tools that fit.
        """
        asked = _Asked(arguments, context.call, settings, services)
        result = await asked.answer()
        return AskAnswer.model_validate(result.model_dump())

    return ask


class _Asked:
    """One request."""

    def __init__(self, arguments: AskArguments, call: Call, settings: AskTool, services: Services) -> None:
        self._arguments = arguments
        self._call = call
        self._settings = settings
        self._services = services
        self._parking: Parking[AskState] = services.parking
        self._deadline_monotonic_s = time.monotonic() + _time_s(settings, call)
        self._progress = AskProgress(call.sink)
        self._may_execute = EXECUTE in arguments.tools and EXECUTE in call.principal.scopes

    async def answer(self) -> AskResult:
        """Raises InvalidParams (InvalidRequestState), and NeedsInput where a person is asked between two requests."""
        service, search = self._service(), self._searcher()
        try:
            if service.mode is Mode.RETRIEVAL:
                return await self._look_up(service, search)
            return await self._go_on(self._loop(service, search))
        finally:
            self._progress.flush()

    def _service(self) -> LLMService:
        """The configured model, or the caller's own where that is configured and the caller offers it."""
        call, configured = self._call, self._services.llm().provider
        samples = configured == "sampling" and can_sample(call.client)
        service = SamplingService(call.client, call.sink) if samples else self._services.model()
        if service.score is None:
            service.score = partial(_score, self._services)
        return service

    def _searcher(self) -> Search:
        async def search(queries: Sequence[str], limit: int) -> list[str]:
            catalog = await self._services.catalog()
            allowed = self._services.allowed(self._call)
            hits = await self._services.index.search(catalog, (Kind.TOOL,), queries, limit, allowed)
            return [hit.name for hit in hits]

        return search

    async def _entries(self) -> list[Any]:
        allowed = self._services.allowed(self._call)
        return [entry for entry in (await self._services.catalog()).entries(Kind.TOOL) if allowed(entry.route)]

    async def _look_up(self, service: LLMService, search: Search) -> AskResult:
        question, choice = last_question(self._arguments.conversation), self._arguments.choice
        tools = usable(await self._entries())
        return await looked_up(service, tools, choice, search, question, self._settings.candidates)

    # -- with a model --------------------------------------------------------------------------------------------

    def _loop(self, service: LLMService, search: Search) -> AskLoop:
        call, llm = self._call, self._services.llm()
        bounds = Bounds(
            max_rounds=llm.max_rounds,
            max_tool_calls=llm.max_tool_calls,
            max_tokens=llm.budget.per_call_tokens,
            max_result_chars=self._settings.max_result,
            turn_s=llm.timeout,
            candidates=self._settings.candidates,
        )
        principal = narrowed(call.principal, may_execute=self._may_execute)
        caller = Caller(replace(call.client, principal=principal), call.sink)
        until = self._deadline_monotonic_s
        runner = Runner(self._services.route, search, caller, bounds, self._progress, until)
        policy = Policy(Confirm(self._settings.confirm), self._approval())
        return AskLoop(service, runner, search, bounds, policy, self._progress, until, scope=call.principal.id)

    def _approval(self) -> Approval:
        """Asking takes a client that shows forms; without one nothing is confirmed, unless the caller said so."""
        meta = _plain(self._call.params.get("_meta"))
        if meta.get(CONFIRM_KEY) == "auto" and EXECUTE in self._call.principal.scopes:
            return Approval.AUTO
        return Approval.ASK if _shows_forms(self._capabilities(meta)) else Approval.DENY

    def _capabilities(self, meta: dict[str, Any]) -> Any:
        return self._call.client.capabilities or meta.get("io.modelcontextprotocol/clientCapabilities") or {}

    async def _go_on(self, loop: AskLoop) -> AskResult:
        """Run until there is a result; a person is asked in the session, or the state waits for the next request."""
        state, approved = await self._state()
        while True:
            outcome = await loop.run(state, approved)
            if isinstance(outcome, AskResult):
                return outcome
            if self._call.client.modern:
                raise self._parked(state, outcome)
            approved = await self._person(outcome)

    async def _state(self) -> tuple[AskState, dict[str, bool] | None]:
        """A new ask, or the one that this request answers a question of. Raises InvalidRequestState."""
        if (text := state_of(self._call.params)) is not None:
            state = self._parking.take(text, self._call.principal.id, self._subject())
            responses = _plain(self._call.params.get("inputResponses"))
            answered = responses.get(_FORM) if isinstance(responses, dict) else None
            return state, approvals(answered, state.waiting())
        arguments, trace = self._arguments, Trace.of(self._call.params.get("_meta"))
        box = toolbox(await self._entries(), arguments.choice, may_execute=self._may_execute)
        conversation = arguments.conversation
        return begin(conversation, box, last_question(conversation), trace), None

    def _parked(self, state: AskState, question: Question) -> NeedsInput:
        text = self._parking.park(self._call.principal.id, self._subject(), state)
        return NeedsInput({_FORM: {"method": METHOD, "params": {"mode": "form", **form(question.calls)}}}, text)

    def _subject(self) -> bytes:
        return subject_of(self._call.method, ("ask",), self._call.params.get("arguments"))

    async def _person(self, question: Question) -> dict[str, bool]:
        """What the person allows; saying no, nothing, or nothing in time allows nothing."""
        self._progress.flush()
        left_s = max(0.0, self._deadline_monotonic_s - time.monotonic())
        with anyio.move_on_after(left_s * ANSWER_SHARE):
            try:
                answered = loads(await self._call.sink.request(METHOD, form(question.calls)))
            except (RpcError, Malformed):
                return {}
            return approvals(answered, question.calls)
        return {}


def _time_s(settings: AskTool, call: Call) -> float:
    """Hosts that follow progress wait longer (hosts facts, 2.6)."""
    own_s = settings.timeout_without_progress if call.sink.token is None else settings.timeout
    return own_s if call.deadline_s is None else min(own_s, call.deadline_s)


def _shows_forms(capabilities: Any) -> bool:
    """An empty `elicitation` means forms, which is all that there was at first (2025-11-25, client/elicitation)."""
    declared = capabilities.get("elicitation") if isinstance(capabilities, dict) else None
    return isinstance(declared, dict) and (not declared or "form" in declared)


def _plain(value: Any) -> Any:
    """A member as a plain value; an empty object where there is none."""
    try:
        plain = loads(encode(value))
    except Malformed:
        return {}
    return {} if plain is None else plain


async def _score(services: Services, question: str) -> float:
    """How well the best of all tools fits; what a caller may see is decided elsewhere."""
    return await services.index.score(await services.catalog(), question)
