"""`LLMService` and its providers: the user's three questions, over real HTTP where there is a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from mcp_gateway.cache import MemoryCache, open_cache
from mcp_gateway.call import Client
from mcp_gateway.errors import BadConfig, ModelRefused, ModelUnavailable
from mcp_gateway.llm import LLMResponse, LLMService, Mode, Request, Settings, TextDelta, open_service
from mcp_gateway.llm.cached import CachedService
from mcp_gateway.llm.chat import OpenAIService
from mcp_gateway.llm.messages import ToolCall as Asked
from mcp_gateway.llm.messages import assistant, function, system, tool, user
from mcp_gateway.llm.responses import ResponsesService, responses_payload
from mcp_gateway.llm.retrieval import RetrievalService
from mcp_gateway.llm.sampling import SamplingService, can_sample
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.wire import Raw, RawParams, encode

from tests.fakes.openai_server import MODEL, Refuses, Says, Sends, Turn, openai_server
from tests.llm.house import house

READ = function("box__read", "Reads\nmuch", {"type": "object", "properties": {"text": {"type": "string"}}})


class Echo(LLMService):
    """The smallest provider of one's own."""

    async def complete(self, request: Request) -> LLMResponse:
        return LLMResponse(str(request.messages[-1]["content"]))


async def test_a_provider_of_ones_own_needs_one_method() -> None:
    service = Echo()
    assert (await service.generate_response([user("hi")])).text == "hi"
    chunks = [chunk async for chunk in await service.generate_response([user("hi")], stream=True)]
    assert chunks == [TextDelta("hi"), LLMResponse("hi")]


def test_a_provider_is_named_by_dotted_path() -> None:
    assert isinstance(open_service("tests.llm.test_service:Echo", Settings()), Echo)


@pytest.mark.parametrize("path", ["nothing", "no.such:Thing", "tests.llm.test_service:nothing", "json:JSONDecoder"])
def test_a_provider_that_is_none_is_a_bad_configuration(path: str) -> None:
    with pytest.raises(BadConfig, match="provider"):
        open_service(path, Settings())


def test_auto_takes_a_model_only_where_one_is_set_up() -> None:
    assert isinstance(open_service("auto", Settings()), RetrievalService)
    assert isinstance(open_service("auto", Settings(base_url="http://127.0.0.1:1/v1")), OpenAIService)


async def test_tools_are_worth_showing_when_one_fits() -> None:
    async def score(question: str) -> float:
        return 0.5 if "time" in question else 0.0

    service = Echo()
    service.score = score
    assert await service._should_call_mcp([user("what time is it?")])
    assert not await service._should_call_mcp([user("hello")])
    assert not await service._should_call_mcp([assistant("nobody asked")])


async def test_without_a_model_vectors_are_refused_with_what_to_set() -> None:
    with pytest.raises(ModelRefused, match=r"no embedding model is set up; set llm\.embedding_model"):
        await RetrievalService(Settings()).embed(["a"])


def test_the_key_is_not_shown() -> None:
    assert "sk-secret" not in repr(Settings(api_key="sk-secret"))


def test_the_library_is_not_loaded_before_a_model_is_asked() -> None:
    code = "import mcp_gateway.llm, mcp_gateway.builtin, sys; print('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


# -- chat completions ----------------------------------------------------------------------------------------------


async def test_a_stream_brings_pieces_and_then_the_whole() -> None:
    async with house([Says("Hello there.", calls=[("box__read", {"text": "a"})])]) as there:
        chunks = [chunk async for chunk in await there.service.generate_response([user("hi")], True, tools=[READ])]
    *pieces, whole = chunks
    assert "".join(piece.text for piece in pieces) == "Hello there."
    assert isinstance(whole, LLMResponse)
    assert (whole.text, whole.tool_calls[0].name, whole.usage.total) == ("Hello there.", "box__read", 15)


async def test_a_whole_answer_says_the_same() -> None:
    async with house([Says("Hello there.", calls=[("box__read", {"text": "a"})])]) as there:
        whole = await there.service.generate_response([user("hi")], tools=[READ])
    assert (whole.text, whole.tool_calls[0].arguments, whole.finish) == ("Hello there.", '{"text": "a"}', "tool_calls")


async def test_a_stream_without_indices_keeps_calls_apart() -> None:
    turn = Says(calls=[("box__read", {"text": "a"}), ("box__look", {"text": "b"})], has_index=False)
    async with house([turn]) as there:
        *_, whole = [chunk async for chunk in await there.service.generate_response([user("hi")], True, tools=[READ])]
    assert isinstance(whole, LLMResponse)
    assert [call.arguments for call in whole.tool_calls] == ['{"text": "a"}', '{"text": "b"}']


async def test_nothing_is_said_of_tools_without_any() -> None:
    async with house([Says("Hello.")]) as there:
        await there.service.generate_response([user("hi")])
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & there.model.bodies[0].keys()


@pytest.mark.parametrize("field", ["stream_options", "parallel_tool_calls", "tool_choice", "temperature", "max_tokens"])
async def test_a_field_that_is_refused_is_left_out_from_then_on(field: str) -> None:
    turns: list[Turn] = [Refuses(400, f"Unrecognized request argument: {field}"), Says("Hello.")]
    async with house(turns) as there:
        for _ in range(2):
            stream = await there.service.generate_response([user("hi")], True, tools=[READ], max_tokens=300)
            async for _chunk in stream:
                pass
        bodies = there.model.bodies
    assert [field in body for body in bodies] == [True, False, False]


TREE: dict[str, Any] = {
    "type": "object",
    "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    "properties": {
        "root": {"$ref": "#/$defs/Node", "description": "Where to begin."},
        "size": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "names": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "a+"}},
        "anything": True,
    },
    "required": ["root"],
}
PLAIN_TREE = {
    "type": "object",
    "properties": {
        "root": {"description": "Where to begin."},
        "size": {},
        "names": {"type": "array", "items": {"type": "string"}},
        "anything": {},
    },
    "required": ["root"],
}


@pytest.mark.parametrize("reason", ["failed to parse grammar", "Invalid schema for function 'climb'"])
async def test_a_schema_that_is_refused_is_said_in_plain_keywords_from_then_on(reason: str) -> None:
    climb = function("climb", "Climb a tree", TREE)
    async with house([Refuses(400, reason), Says("Hello."), Says("Hello.")]) as there:
        for _ in range(2):
            await there.service.generate_response([user("hi")], tools=[READ, climb])
        offered = [[tool["function"] for tool in body["tools"]] for body in there.model.bodies]
    assert [tools[1]["parameters"] for tools in offered] == [TREE, PLAIN_TREE, PLAIN_TREE]
    assert [tools[0] for tools in offered] == [READ["function"]] * 3


async def test_a_schema_that_is_refused_in_plain_keywords_too_is_a_failure() -> None:
    async with house([Refuses(400, "failed to parse grammar")] * 3) as there:
        with pytest.raises(ModelRefused, match="grammar"):
            await there.service.generate_response([user("hi")], tools=[function("climb", "Climb", TREE)])
        assert len(there.model.bodies) == 2


async def test_a_limit_that_is_refused_goes_under_its_newer_name() -> None:
    refusal = Refuses(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    async with house([refusal, Says("Hello.")]) as there:
        await there.service.generate_response([user("hi")], max_tokens=300)
    assert there.model.bodies[1]["max_completion_tokens"] == 300


async def test_the_only_model_of_a_server_of_ones_own_is_found() -> None:
    async with house([Says("Hello.")], model=None) as there:
        await there.service.generate_response([user("hi")])
    assert there.model.bodies[0]["model"] == MODEL


async def test_without_key_and_address_nothing_is_asked() -> None:
    with pytest.raises(ModelRefused, match="API_KEY"):
        await OpenAIService(Settings(model="x")).generate_response([user("hi")])


async def test_an_address_where_nobody_is_says_so() -> None:
    service = OpenAIService(Settings(model="x", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(ModelUnavailable, match="base_url"):
        await service.generate_response([user("hi")])
    await service.aclose()


async def test_embeddings_come_in_batches_and_in_order() -> None:
    async with house([Says("")], embedding_model="e") as there:
        texts = ["x" * (number % 7) + "!" for number in range(300)]
        vectors = await there.service.get_embedding(texts)
        assert [vector[0] for vector in vectors] == [float(len(text)) for text in texts]
        assert [len(batch) for batch in there.model.embedded] == [128, 128, 44]
        assert await there.service.get_embedding("four") == [4.0, 1.0]


async def test_embeddings_need_a_model_of_their_own() -> None:
    async with house([Says("")]) as there:
        with pytest.raises(ModelRefused, match="embedding_model"):
            await there.service.get_embedding("x")


# -- the cache -----------------------------------------------------------------------------------------------------


async def test_an_answer_is_asked_for_once() -> None:
    async with house([Says("Hello."), Says("Other.")]) as there:
        service = CachedService(there.service, MemoryCache(), ttl_s=60)
        first = await service.generate_response([user("hi")])
        chunks = [chunk async for chunk in await service.generate_response([user("hi")], stream=True)]
    assert len(there.model.bodies) == 1
    assert chunks[0] == TextDelta(first.text)
    assert isinstance(chunks[1], LLMResponse)
    assert (chunks[1].cached, chunks[1].usage.total) == (True, 0)


@pytest.mark.parametrize("always", [False, True])
async def test_a_random_answer_is_kept_by_opt_in_only(always: bool) -> None:
    async with house([Says("Hello.")]) as there:
        service = CachedService(there.service, MemoryCache(), ttl_s=60, always=always)
        for _ in range(2):
            await service.generate_response([user("hi")], temperature=0.7)
    assert len(there.model.bodies) == (1 if always else 2)


async def test_an_answer_that_was_cut_off_is_not_kept() -> None:
    async with house([Says("Hel", finish="length"), Says("Hello.")]) as there:
        service = CachedService(there.service, MemoryCache(), ttl_s=60)
        answers = [(await service.generate_response([user("hi")])).text for _ in range(2)]
    assert answers == ["Hel", "Hello."]


async def test_callers_do_not_share_answers_and_marks_do_not_matter() -> None:
    async with house([Says("Hello.")]) as there:
        service = CachedService(there.service, MemoryCache(), ttl_s=60)
        for scope, nonce in (("ann", "n1"), ("ann", "n2"), ("bob", "n3")):
            await service.complete(Request([system(f"mark {nonce}"), user("hi")], scope=scope, nonce=nonce))
    assert len(there.model.bodies) == 2


async def test_a_text_is_embedded_once() -> None:
    async with house([Says("")], embedding_model="e") as there:
        service = CachedService(there.service, MemoryCache(), ttl_s=0.0)
        await service.get_embedding(["a", "bb", "a"])
        assert await service.get_embedding(["bb", "ccc"]) == [[2.0, 1.0], [3.0, 1.0]]
        assert there.model.embedded == [["a", "bb"], ["ccc"]]


async def test_a_text_is_embedded_once_without_a_disk_too() -> None:
    async with house([Says("")], embedding_model="e") as there:
        service = CachedService(there.service, open_cache(path=None), ttl_s=0.0)
        await service.get_embedding("a")
        assert await service.get_embedding("a") == [1.0, 1.0]
        assert there.model.embedded == [["a"]]


# -- no model, the host's model, the other API ---------------------------------------------------------------------


async def test_without_a_model_the_tools_that_fit_are_named() -> None:
    response = await RetrievalService().generate_response([user("read?")], tools=[READ])
    assert "1. box__read(text?: string) - Reads" in response.text
    assert "llm.model" in response.text
    assert response == await RetrievalService().generate_response([user("read?")], tools=[READ])


async def test_without_a_model_and_a_fitting_tool_it_says_so() -> None:
    assert "No tool" in (await RetrievalService().generate_response([user("?")])).text


class Host:
    """A client that samples."""

    owner = "host"
    token: str | int | None = None

    def __init__(self, answer: Any) -> None:
        self.asked: list[tuple[str, RawParams]] = []
        self._answer = answer

    def notify(self, method: str, params: RawParams) -> None:
        return

    async def request(self, method: str, params: RawParams) -> Raw:
        self.asked.append((method, params))
        return Raw(encode(self._answer))


def host(*, tools: bool) -> Client:
    return Client("host", LATEST_LEGACY, {"sampling": {"tools": {}} if tools else {}})


CONVERSATION: Sequence[Any] = [
    system("rules"),
    user("hi"),
    assistant("", [Asked("call_1", "box__read", "{}"), Asked("call_2", "box__look", '{"text": "a"}')]),
    tool("call_1", "one"),
    tool("call_2", "two"),
]


async def test_the_hosts_model_is_asked_through_the_call() -> None:
    sink = Host(
        {"role": "assistant", "content": {"type": "text", "text": "Hello."}, "model": "m", "stopReason": "endTurn"}
    )
    response = await SamplingService(host(tools=False), sink).generate_response([system("rules"), user("hi")])
    method, params = sink.asked[0]
    assert (method, params["systemPrompt"]) == ("sampling/createMessage", "rules")
    assert params["messages"] == [{"role": "user", "content": {"type": "text", "text": "hi"}}]
    assert (response.text, response.model) == ("Hello.", "m")


async def test_the_hosts_model_calls_tools_where_it_can() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "box__read", "input": {"text": "a"}}
    sink = Host({"role": "assistant", "content": [use], "model": "m", "stopReason": "toolUse"})
    response = await SamplingService(host(tools=True), sink).generate_response(CONVERSATION, tools=[READ])
    params = sink.asked[0][1]
    assert response.tool_calls == (Asked("t1", "box__read", '{"text": "a"}'),)
    assert params["tools"][0]["name"] == "box__read"
    assert [turn["role"] for turn in params["messages"]] == ["user", "assistant", "user"]
    assert [block["toolUseId"] for block in params["messages"][-1]["content"]] == ["call_1", "call_2"]


@pytest.mark.parametrize("answer", [[], {"content": None}, {}, "x"])
async def test_an_odd_answer_of_a_host_is_no_crash(answer: Any) -> None:
    service = SamplingService(host(tools=False), Host(answer))
    with suppress(ModelUnavailable):
        assert (await service.generate_response([user("hi")])).text == ""


def test_only_a_session_that_offers_sampling_is_asked() -> None:
    assert can_sample(host(tools=False))
    assert not can_sample(Client("x", LATEST_LEGACY))
    assert not can_sample(Client("x", capabilities={"sampling": {}}))
    assert SamplingService.mode is Mode.SAMPLING


def test_the_other_api_gets_the_same_conversation() -> None:
    payload = responses_payload("m", Request(CONVERSATION, [READ], max_tokens=300), 0.0)
    kinds = [item.get("type", item.get("role")) for item in payload["input"]]
    assert kinds == ["system", "user", *["function_call"] * 2, *["function_call_output"] * 2]
    assert (payload["store"], payload["max_output_tokens"], payload["tools"][0]["name"]) == (False, 300, "box__read")


async def test_the_other_api_answers() -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "Hello."}]}
    call = {"type": "function_call", "call_id": "c", "name": "box__read", "arguments": "{}"}
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    body = {"id": "r", "model": MODEL, "status": "completed", "output": [message, call], "usage": usage}
    async with openai_server([Sends(encode(body))]) as model:
        service = ResponsesService(Settings(model=MODEL, base_url=model.url))
        response = await service.generate_response([user("hi")], tools=[READ])
        await service.aclose()
    assert (response.text, response.tool_calls[0].id, response.usage.total) == ("Hello.", "c", 7)


def events(*told: dict[str, Any]) -> Sends:
    return Sends(b"".join(b"data: %b\n\n" % encode(event) for event in told), "text/event-stream")


WHOLE = {
    "id": "r",
    "model": MODEL,
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello."}]}],
    "usage": None,
}


async def test_the_other_api_streams() -> None:
    told = events(
        {"type": "response.output_text.delta", "delta": "Hel"},
        {"type": "response.output_text.delta", "delta": "lo."},
        {"type": "response.completed", "response": WHOLE},
    )
    async with openai_server([told]) as model:
        service = ResponsesService(Settings(model=MODEL, base_url=model.url))
        chunks = [chunk async for chunk in await service.generate_response([user("hi")], stream=True)]
        await service.aclose()
    assert [chunk.text for chunk in chunks] == ["Hel", "lo.", "Hello."]


@pytest.mark.parametrize("told", [events(), events({"type": "response.failed"})])
async def test_the_other_api_may_fail_in_the_middle(told: Sends) -> None:
    async with openai_server([told]) as model:
        service = ResponsesService(Settings(model=MODEL, base_url=model.url))
        with pytest.raises(ModelUnavailable):
            async for _chunk in await service.generate_response([user("hi")], stream=True):
                pass
        await service.aclose()


@pytest.mark.parametrize("kept", [b"{", b"[]", b'{"tool_calls": [1]}'])
async def test_what_another_version_kept_is_asked_for_again(kept: bytes) -> None:
    class Odd(MemoryCache):
        def get(self, key: str, ttl: float | None = None) -> bytes | None:
            return kept

    async with house([Says("Hello.")]) as there:
        response = await CachedService(there.service, Odd(), ttl_s=60).generate_response([user("hi")])
    assert response.text == "Hello."
