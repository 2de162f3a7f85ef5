"""`ask`: what a caller gives, hears and is asked, with a model on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio
import pytest
from jsonschema import validate  # type: ignore[import-untyped] # the library has no types
from mcp_gateway.builtin import Builtin, MCPFunctions, Services
from mcp_gateway.builtin.ask import ask_tool
from mcp_gateway.call import QUIET, Call, Client, Sink
from mcp_gateway.catalog import Catalog, Kind, Offer, Part, Route
from mcp_gateway.config.parts import AskTool, Llm
from mcp_gateway.errors import InvalidParams, InvalidRequestState, RpcError
from mcp_gateway.llm.chat import OpenAIService
from mcp_gateway.llm.confirmation import CONFIRM_KEY
from mcp_gateway.llm.events import EVENTS_KEY
from mcp_gateway.llm.retrieval import RetrievalService
from mcp_gateway.llm.service import LLMService, Settings
from mcp_gateway.llm.trace import ASK_MARK, DEPTH_KEY, INSTANCE, TRACE_KEY
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.security.principal import LOCAL, Principal
from mcp_gateway.wire import Raw, RawParams, encode, loads

from tests.fakes.openai_server import MODEL, Brain, OpenAIServer, Says, Turn, openai_server

INPUT = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS = [
    {"name": "read", "description": "Read it", "inputSchema": INPUT, "annotations": {"readOnlyHint": True}},
    {"name": "delete", "description": "Delete it", "inputSchema": INPUT, "annotations": {"destructiveHint": True}},
]
READS = Says(calls=[("box__read", {"text": "a"})])
DELETES = Says(calls=[("box__read", {}), ("box__delete", {"text": "x"})])
DONE = Says("Done.")
FORMS: dict[str, Any] = {"elicitation": {}}


def catalog() -> Catalog:
    part = Part(Kind.TOOL, tuple({key: Raw(encode(value)) for key, value in tool.items()} for tool in TOOLS))
    return Catalog.build([Offer("box", "2025-11-25", (part,))])


@dataclass(slots=True)
class Person:
    """A caller that follows progress and answers forms."""

    answer: Any = None
    owner: str = "person"
    token: str | int | None = 1
    heard: list[RawParams] = field(default_factory=list)
    forms: list[RawParams] = field(default_factory=list)

    def notify(self, method: str, params: RawParams) -> None:
        self.heard.append(params)

    async def request(self, method: str, params: RawParams) -> Raw:
        self.forms.append(params)
        if self.answer is None:
            await anyio.sleep_forever()
        if isinstance(self.answer, RpcError):
            raise self.answer
        return Raw(encode(self.answer))


@dataclass(slots=True)
class Desk:
    """`ask` with its services; `called` are the calls it made of tools."""

    tool: Builtin
    model: OpenAIServer
    called: list[str]

    async def ask(
        self,
        sink: Sink = QUIET,
        client: Client | None = None,
        principal: Principal = LOCAL,
        meta: dict[str, Any] | None = None,
        again: dict[str, Any] | None = None,
        deadline_s: float | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """The raw result, decoded."""
        params = {"arguments": {"question": "?", **arguments}, **({"_meta": meta} if meta else {}), **(again or {})}
        route = Route(Kind.TOOL, None, "ask", "ask")
        call = Call(
            "tools/call", params, replace(client or Client("test"), principal=principal), sink, deadline_s, route=route
        )
        result: dict[str, Any] = loads(await MCPFunctions([self.tool]).call(call))
        return result


@asynccontextmanager
async def desk(script: list[Turn] | Brain, settings: dict[str, Any] | None = None, **llm: Any) -> AsyncIterator[Desk]:
    called: list[str] = []

    async def offered() -> Catalog:
        return CATALOG

    async def route(call: Call, sink: Sink) -> Raw:
        called.append(str(call.params["name"]))
        return Raw(encode({"content": [{"type": "text", "text": "told"}]}))

    with anyio.fail_after(30):
        async with openai_server(script) as model:
            service: LLMService = OpenAIService(Settings(model=MODEL, base_url=model.url))
            section = Llm.model_validate(llm)
            services = Services(offered, environ={}, route=route, model=lambda: service, llm=lambda: section)
            try:
                yield Desk(ask_tool(AskTool.model_validate(settings or {}), services), model, called)
            finally:
                await service.aclose()


CATALOG = catalog()


async def test_an_answer_fits_its_schema() -> None:
    async with desk([READS, DONE]) as there:
        result = await there.ask()
    validate(result["structuredContent"], there.tool.definition["outputSchema"])
    assert result["structuredContent"]["answer"] == "Done."
    assert there.called == ["box__read"]
    assert result["isError"] is False


async def test_a_conversation_is_passed_on() -> None:
    talk = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]
    async with desk([DONE]) as there:
        await there.ask(question=None, messages=talk)
        said = there.model.bodies[0]["messages"]
    assert [message["content"] for message in said[1:]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "arguments",
    [{"question": None}, {"messages": [{"role": "user", "content": "x"}]}, {"question": ""}]
    + [{"question": None, "messages": [{"role": role, "content": "x"}]} for role in ("system", "assistant")],
)
async def test_arguments_that_ask_nothing_are_refused(arguments: dict[str, Any]) -> None:
    async with desk([DONE]) as there:
        with pytest.raises(InvalidParams):
            await there.ask(**arguments)


async def test_a_failing_model_is_an_error_of_the_same_shape() -> None:
    async with desk([Says("")]) as there:
        result = await there.ask()
    validate(result["structuredContent"], there.tool.definition["outputSchema"])
    assert result["isError"] is True


async def test_without_a_model_the_tools_are_named_and_none_is_called() -> None:
    services = Services(catalog=lambda: _now(CATALOG), model=RetrievalService)
    tool = ask_tool(AskTool(), services)
    result = await Desk(tool, None, []).ask(question="delete it")  # type: ignore[arg-type]  # no model here
    told = result["structuredContent"]
    assert told["mode"] == "retrieval"
    assert "1. box__delete(text?: string)" in told["answer"]


async def _now(value: Catalog) -> Catalog:
    return value


async def test_progress_tells_what_happens_and_only_rises() -> None:
    person = Person()
    async with desk([READS, DONE]) as there:
        await there.ask(person)
    steps = [params["progress"] for params in person.heard]
    kinds = [event["type"] for params in person.heard for event in params["_meta"][EVENTS_KEY]]
    assert steps == sorted(set(steps))
    assert [kind for kind in kinds if kind != "delta"] == ["status", "tool_call", "tool_result", "status"]
    assert "delta" in kinds


async def test_nothing_is_told_without_a_token() -> None:
    person = Person(token=None)
    async with desk([READS, DONE]) as there:
        await there.ask(person)
    assert not person.heard


async def test_a_person_in_a_session_is_asked_with_one_form() -> None:
    person = Person({"action": "accept", "content": {"call_2": True}})
    async with desk([DELETES, DONE]) as there:
        result = await there.ask(person, Client("s", LATEST_LEGACY, FORMS), tools=["box__read", "box__delete"])
    assert there.called == ["box__read", "box__delete"]
    assert list(person.forms[0]["requestedSchema"]["properties"]) == ["call_2"]
    assert result["structuredContent"]["stop_reason"] == "completed"


@pytest.mark.parametrize(
    "answer",
    [
        {"action": "decline"},
        {"action": "cancel"},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"call_2": "true"}},
        {"action": "accept"},
        [],
        RpcError.of(-32601, "no"),
    ],
)
async def test_anything_but_a_yes_is_a_no(answer: Any) -> None:
    async with desk([DELETES, DONE]) as there:
        client = Client("s", LATEST_LEGACY, FORMS)
        result = await there.ask(Person(answer), client, tools=["box__read", "box__delete"])
    assert there.called == ["box__read"]
    assert result["structuredContent"]["stop_reason"] == "denied"


async def test_a_person_who_says_nothing_allows_nothing_and_an_answer_still_comes() -> None:
    async with desk([DELETES, DONE]) as there:
        client = Client("s", LATEST_LEGACY, FORMS)
        result = await there.ask(Person(), client, deadline_s=2.0, tools=["box__read", "box__delete"])
    assert there.called == ["box__read"]
    assert result["structuredContent"]["answer"] == "Done."


async def test_a_stateless_client_is_asked_between_two_requests_and_nothing_runs_twice() -> None:
    client = Client("one", capabilities=FORMS)
    async with desk([DELETES, DONE]) as there:
        first = await there.ask(client=client, tools=["box__read", "box__delete"])
        assert first["resultType"] == "input_required"
        assert first["inputRequests"]["confirm"]["method"] == "elicitation/create"
        assert there.called == ["box__read"]
        yes = {"confirm": {"action": "accept", "content": {"call_2": True}}}
        again = {"requestState": first["requestState"], "inputResponses": yes}
        second = await there.ask(client=client, again=again, tools=["box__read", "box__delete"])
        assert second["structuredContent"]["answer"] == "Done."
        assert there.called == ["box__read", "box__delete"]
        assert len(there.model.bodies) == 2
        with pytest.raises(InvalidRequestState):
            await there.ask(client=client, again=again, tools=["box__read", "box__delete"])


async def test_a_client_that_only_opens_addresses_is_not_asked() -> None:
    client = Client("one", capabilities={"elicitation": {"url": {}}})
    async with desk([DELETES, DONE]) as there:
        result = await there.ask(client=client, tools=["box__read", "box__delete"])
    assert result["structuredContent"]["stop_reason"] == "denied"


async def test_somebody_elses_question_cannot_be_answered() -> None:
    client = Client("one", capabilities=FORMS)
    async with desk([DELETES, DONE]) as there:
        first = await there.ask(client=client, tools=["box__read", "box__delete"])
        again = {"requestState": first["requestState"], "inputResponses": {}}
        with pytest.raises(InvalidRequestState):
            await there.ask(
                client=client, principal=Principal("other"), again=again, tools=["box__read", "box__delete"]
            )


@pytest.mark.parametrize(("scopes", "made"), [({"call", "execute"}, True), ({"call"}, False)])
async def test_consent_in_advance_takes_a_key_that_may_execute(scopes: set[str], made: bool) -> None:
    principal = Principal("key", frozenset(scopes))
    async with desk([DELETES, DONE]) as there:
        await there.ask(principal=principal, meta={CONFIRM_KEY: "auto"}, tools=["box__read", "box__delete"])
    assert ("box__delete" in there.called) is made


@pytest.mark.parametrize("meta", [{DEPTH_KEY: 2}, {TRACE_KEY: [INSTANCE]}, {DEPTH_KEY: "x"}, {TRACE_KEY: ["a", "b"]}])
async def test_an_ask_that_comes_from_asks_is_refused(meta: dict[str, Any]) -> None:
    async with desk([DONE]) as there:
        with pytest.raises(InvalidParams):
            await there.ask(meta=meta)


async def test_ask_is_marked_so_that_no_other_gateway_offers_it() -> None:
    async with desk([DONE]) as there:
        assert there.tool.definition["_meta"] == {ASK_MARK: True}


async def test_the_hosts_own_model_answers_where_that_is_configured() -> None:
    person = Person({"role": "assistant", "content": {"type": "text", "text": "Mine."}, "model": "host"})
    async with desk([DONE], provider="sampling") as there:
        result = await there.ask(person, Client("s", LATEST_LEGACY, {"sampling": {}}))
    assert (result["structuredContent"]["mode"], result["structuredContent"]["answer"]) == ("sampling", "Mine.")
