"""The whole path with aimock, a server for tests of other people's making."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_gateway.errors import CODES, ModelUnavailable
from mcp_gateway.llm import LLMResponse, Settings
from mcp_gateway.llm.chat import OpenAIService
from mcp_gateway.llm.messages import function, user
from mcp_gateway.llm.responses import ResponsesService

from tests.cli.command import run, tool_box
from tests.gateway import write_config
from tests.llm.strangers import aimock

pytestmark = pytest.mark.slow

QUESTION = "is all well?"
ARGUMENTS = {"sections": ["gateway"]}
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "break", "endpoint": "chat"}, "response": {"error": {"message": "down"}, "status": 500}},
    {
        "match": {"userMessage": QUESTION, "hasToolResult": False},
        "response": {"toolCalls": [{"name": "sysinfo", "arguments": ARGUMENTS}]},
    },
    {"match": {"userMessage": QUESTION, "hasToolResult": True}, "response": {"content": "All is well [call_1]."}},
    {"match": {"userMessage": "hello"}, "response": {"content": "Hello, who is calling?"}},
    {"match": {"inputText": "exactly"}, "response": {"embedding": [0.5, -0.25]}},
]
SYSINFO = function("sysinfo", "What the machine is doing", {"type": "object"})


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with aimock(tmp_path_factory.mktemp("aimock"), FIXTURES) as address:
        yield address


@pytest.fixture(params=[OpenAIService, ResponsesService])
async def service(request: pytest.FixtureRequest, url: str) -> AsyncIterator[OpenAIService]:
    settings = Settings(model="any", base_url=url, api_key="mock", embedding_model="any")
    service: OpenAIService = request.param(settings)
    yield service
    await service.aclose()


async def test_a_call_comes_whole(service: OpenAIService) -> None:
    response = await service.generate_response([user(QUESTION)], tools=[SYSINFO])
    assert [(call.name, call.arguments) for call in response.tool_calls] == [("sysinfo", '{"sections":["gateway"]}')]


async def test_an_answer_comes_in_a_stream(service: OpenAIService) -> None:
    chunks = [chunk async for chunk in await service.generate_response([user("hello")], True)]
    assert len(chunks) > 2
    assert isinstance(chunks[-1], LLMResponse)
    assert chunks[-1].text == "Hello, who is calling?"


async def test_a_failure_is_one_of_ours(service: OpenAIService) -> None:
    with pytest.raises(ModelUnavailable, match="down"):
        await service.generate_response([user("break")])


async def test_embeddings_come_in_order(url: str) -> None:
    service = OpenAIService(Settings(base_url=url, api_key="mock", embedding_model="any"))
    assert await service.get_embedding("exactly") == [0.5, -0.25]
    one, other = await service.get_embedding(["one", "other"])
    assert [one, other] == await service.get_embedding(["one", "other"]) != [other, one]
    await service.aclose()


def test_a_question_is_answered_with_a_call(url: str, tmp_path: Path) -> None:
    llm = {"base_url": url, "api_key": "mock", "model": "any"}
    write_config(tmp_path, {"mcpServers": {"box": tool_box("kinds")}, "llm": llm})
    done = run(tmp_path, "ask", "--json", QUESTION)
    assert done.status == 0, done
    assert (done.body["answer"], done.body["citations"]) == ("All is well [call_1].", ["call_1"])
    assert [(call["tool"], call["ok"]) for call in done.body["tool_calls"]] == [("sysinfo", True)]


def test_a_model_that_is_down_has_its_own_status(url: str, tmp_path: Path) -> None:
    write_config(tmp_path, {"mcpServers": {}, "llm": {"base_url": url, "api_key": "mock", "model": "any"}})
    assert run(tmp_path, "ask", "break").status == CODES["model_unavailable"].exit
