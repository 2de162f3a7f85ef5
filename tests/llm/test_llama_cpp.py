"""The whole path with llama.cpp, which nobody here wrote, and a model that does what its grammar leaves it."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate  # type: ignore[import-untyped] # the library has no types
from mcp_gateway.errors import ModelRefused, ModelUnavailable
from mcp_gateway.llm import LLMResponse, Settings
from mcp_gateway.llm.chat import OpenAIService
from mcp_gateway.llm.client import TooLong
from mcp_gateway.llm.messages import function, user

from tests.cli.command import run, tool_box
from tests.gateway import write_config
from tests.llm.bigram import ANSWER
from tests.llm.strangers import llama_cpp_server

pytestmark = pytest.mark.slow

SCHEMA = {
    "type": "object",
    "properties": {
        "unit": {"enum": ["metre", "mile"]},
        "count": {"type": "integer", "minimum": 3},
        "name": {"type": "string", "minLength": 2},
        "deep": {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]},
        "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["unit", "count", "name", "deep", "tags"],
}
MEASURE = function("box__measure", "Measure something", SCHEMA)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_cpp_server(tmp_path_factory.mktemp("llama_cpp")) as address:
        yield address


@pytest.fixture
async def service(url: str) -> AsyncIterator[OpenAIService]:
    service = OpenAIService(Settings(base_url=url, embedding_model="bigram"))
    yield service
    await service.aclose()


async def test_the_grammar_makes_arguments_that_fit_the_schema(service: OpenAIService) -> None:
    response = await service.generate_response([user("how far?")], tools=[MEASURE])
    (call,) = response.tool_calls
    assert (call.name, response.finish) == ("box__measure", "tool_calls")
    validate(json.loads(call.arguments), SCHEMA)


async def test_a_schema_that_refers_to_itself_is_understood_without_what_it_refers_to(service: OpenAIService) -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "required": ["next"]}
    tree = {"type": "object", "$defs": {"Node": node, "Loop": {"$ref": "#/$defs/Loop"}}, "required": ["loop"]}
    climb = function("box__climb", "Climb", tree | {"properties": {"loop": {"$ref": "#/$defs/Loop"}}})
    response = await service.generate_response([user("how far?")], tools=[climb])
    assert response.tool_calls or response.text


async def test_a_call_comes_in_a_stream_too(service: OpenAIService) -> None:
    stream = await service.generate_response([user("how far?")], True, tools=[MEASURE])
    chunks = [chunk async for chunk in stream]
    response = chunks[-1]
    assert isinstance(response, LLMResponse)
    validate(json.loads(response.tool_calls[0].arguments), SCHEMA)
    assert response.usage.total > 0


async def test_without_tools_it_answers(service: OpenAIService) -> None:
    assert (await service.generate_response([user("hello")])).text == ANSWER


async def test_a_conversation_that_is_too_long_is_known_as_such(service: OpenAIService) -> None:
    with pytest.raises(TooLong):
        await service.generate_response([user("x" * 20_000)])


async def test_a_server_that_was_not_started_for_embeddings_says_so(service: OpenAIService) -> None:
    with pytest.raises((ModelUnavailable, ModelRefused), match="embeddings"):
        await service.get_embedding("hello")


async def test_embeddings_come_as_numbers(tmp_path: Path) -> None:
    with llama_cpp_server(tmp_path, embeddings=True) as address:
        service = OpenAIService(Settings(base_url=address, embedding_model="bigram"))
        one, other = await service.get_embedding(["hello", "x"])
        await service.aclose()
    assert math.hypot(*one) == pytest.approx(1)
    assert one != other


def test_a_question_is_answered_with_a_call_of_an_upstream(url: str, tmp_path: Path) -> None:
    trusting = {"ask": {"confirm": "never"}}
    write_config(tmp_path, {"mcpServers": {"box": tool_box("structured")}, "llm": {"base_url": url}, "tools": trusting})
    done = run(tmp_path, "ask", "--tool", "box__structured", "--json", "how warm is it?")
    assert done.status == 0, done
    body: dict[str, Any] = done.body
    assert (body["answer"], body["stop_reason"]) == (ANSWER, "completed")
    assert [(call["tool"], call["ok"]) for call in body["tool_calls"]] == [("box__structured", True)]
