"""`search`, `ask` and `embeddings` over REST: the built-in tools' own answers, and their failures with a status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp_gateway.llm.result import AskResult
from mcp_gateway.observe.memory import Reading

from tests.downstream.rest.errors import code, failure
from tests.downstream.rest.house import asking
from tests.downstream.rest.people import as_person
from tests.downstream.streams import events
from tests.fakes.openai_server import Refuses, Says
from tests.interaction.house import FEW_BUILTINS

LOOKS = Says(calls=[("sysinfo", {"sections": ["gateway"]})])
TRACEPARENT = f"00-{'ab' * 16}-{'cd' * 8}-01"
WRITES = Says(calls=[("up__echo", {"text": "x"})])


async def test_tools_are_found(tmp_path: Path) -> None:
    async with asking(tmp_path) as there:
        found = (await there.post("search", {"query": "echo", "kind": "tools", "limit": 2})).json()

    first = found["results"][0]
    assert (first["rank"], first["kind"], first["name"], first["server"]) == (1, "tool", "up__echo", "up")
    assert {"tool", "description", "signature", "score"} <= first.keys()
    assert len(found["results"]) <= 2


async def test_several_searches_at_once(tmp_path: Path) -> None:
    async with asking(tmp_path) as there:
        found = (await there.post("search", {"queries": ["greet", "echo"], "kind": "auto"})).json()

    assert {"up__greet", "up__echo"} <= {hit["name"] for hit in found["results"]}


async def test_nothing_hidden_is_found(tmp_path: Path) -> None:
    async with asking(tmp_path) as there:
        response = await there.post("search", {"query": "echo", "kind": "tools"}, headers=as_person("stranger"))

    assert response.json()["results"] == []


async def test_a_web_search_without_a_provider_is_503(tmp_path: Path) -> None:
    async with asking(tmp_path) as there:
        assert code(await there.post("search", {"query": "x", "kind": "web"})) == (503, "search_unavailable")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("search", {}),
        ("search", {"query": "a", "queries": ["b"]}),
        ("search", {"query": " "}),
        ("search", {"query": "a", "kind": "pages"}),
        ("search", {"query": "a", "limit": 0}),
        ("ask", {}),
        ("ask", {"question": "a", "messages": [{"role": "user", "content": "b"}]}),
        ("ask", {"messages": [{"role": "assistant", "content": "b"}]}),
        ("ask", {"messages": [{"role": "system", "content": "b"}]}),
        ("ask", {"question": "a", "confirm": "always"}),
        ("embeddings", {}),
        ("embeddings", {"input": []}),
        ("embeddings", {"input": [""]}),
        ("embeddings", {"input": 5}),
    ],
)
async def test_what_does_not_fit_is_refused(people: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> None:
    assert code(await people.post(f"/api/v1/{path}", json=body)) == (400, "invalid_params")


@pytest.mark.parametrize("path", ["search", "ask"])
async def test_a_tool_that_is_switched_off_is_404(people: httpx2.AsyncClient, path: str) -> None:
    assert not FEW_BUILTINS[path]["enabled"]
    body = {"search": {"query": "a"}, "ask": {"question": "a"}}[path]

    assert code(await people.post(f"/api/v1/{path}", json=body)) == (404, "unknown_name")


async def test_an_ask_is_answered_with_what_was_done(tmp_path: Path) -> None:
    async with asking(tmp_path, LOOKS, Says("All is well [call_1].")) as there:
        response = await there.post("ask", {"question": "is all well?", "stream": False})

    answer = AskResult.model_validate(response.json())
    assert (answer.answer, answer.citations, answer.stop_reason) == ("All is well [call_1].", ["call_1"], "completed")


async def test_a_conversation_is_gone_on_with(tmp_path: Path) -> None:
    said = [
        {"role": "user", "content": "I am Ada."},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Who am I?"},
    ]
    async with asking(tmp_path, Says("Ada.")) as there:
        answer = (await there.post("ask", {"messages": said})).json()["answer"]
        heard = [message["content"] for message in there.model.bodies[0]["messages"]]

    assert answer == "Ada."
    assert heard[-3:] == ["I am Ada.", "Hello.", "Who am I?"]


async def test_an_ask_can_be_followed(tmp_path: Path) -> None:
    async with asking(tmp_path, LOOKS, Says("All is well.")) as there:
        response = await there.post("ask", {"question": "is all well?", "stream": True})
    told = [(event.kind, event.data) for event in events(response.text)]
    kinds = [kind for kind, _ in told if kind != "status"]
    called, answered, end = (
        next(data for kind, data in told if kind == name) for name in ("tool_call", "tool_result", "done")
    )

    assert kinds == ["tool_call", "tool_result", *["delta"] * (len(kinds) - 3), "done"]
    assert called == {"id": "call_1", "tool": "sysinfo", "arguments": {"sections": ["gateway"]}}
    assert (answered["id"], answered["ok"]) == ("call_1", True)
    assert "".join(data["text"] for kind, data in told if kind == "delta") == "All is well."
    assert AskResult.model_validate(end).answer == "All is well."


async def test_a_call_that_needs_a_word_is_denied_and_reported(tmp_path: Path) -> None:
    async with asking(tmp_path, WRITES, Says("I could not.")) as there:
        result = (await there.post("ask", {"question": "write x", "tools": ["up__echo"]})).json()
        calls = there.home.everything.calls

    assert (result["tool_calls"][0]["denied"], calls) == (True, 0)


async def test_a_caller_that_may_execute_can_say_the_word_beforehand(tmp_path: Path) -> None:
    body = {"question": "write x", "tools": ["up__echo"], "confirm": "auto"}
    async with asking(tmp_path, WRITES, Says("Done.")) as there:
        refused = await there.post("ask", body, headers=as_person("asker"))
        before = there.home.everything.calls
        result = (await there.post("ask", body)).json()

    assert (code(refused), before) == ((403, "forbidden"), 0)
    assert (result["tool_calls"][0]["ok"], there.home.everything.calls) == (True, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_fails_is_a_failure_with_what_there_is(tmp_path: Path, stream: bool) -> None:
    async with asking(tmp_path, Refuses(401, "bad key")) as there:
        response = await there.post("ask", {"question": "is all well?", "stream": stream})
    if stream:
        (*_, last) = events(response.text)
        assert last.kind == "error"
        details = last.data["details"]
    else:
        status, details = failure(response)
        assert status == 502

    assert (details["code"], details["result"]["stop_reason"]) == ("model_refused", "llm_error")


@pytest.mark.parametrize("path", ["ask", "embeddings", "search"])
async def test_each_needs_its_scope(people: httpx2.AsyncClient, path: str) -> None:
    body = {"ask": {"question": "a"}, "embeddings": {"input": "a"}, "search": {"query": "a"}}[path]

    assert code(await people.post(f"/api/v1/{path}", json=body, headers=as_person("reader"))) == (403, "forbidden")


async def test_texts_become_vectors_in_their_order(tmp_path: Path) -> None:
    async with asking(tmp_path, embedding_model="tiny") as there:
        one = (await there.post("embeddings", {"input": "four"})).json()
        several = (await there.post("embeddings", {"input": ["a", "bc"]})).json()

    assert one == {"embeddings": [[4.0, 1.0]], "model": "tiny"}
    assert several["embeddings"] == [[1.0, 1.0], [2.0, 1.0]]


@pytest.mark.parametrize(("path", "body"), [("embeddings", {"input": "a"}), ("search", {"query": "echo"})])
async def test_a_caller_that_is_too_fast_is_told_when_to_come_back(tmp_path: Path, path: str, body: Any) -> None:
    async with asking(tmp_path, embedding_model="tiny") as there:
        first, second = [await there.post(path, body, headers=as_person("hasty")) for _ in range(2)]

    assert (first.status_code, code(second)) == (200, (429, "rate_limited"))
    assert 1 <= int(second.headers["retry-after"]) <= 100


async def test_without_an_embedding_model_there_are_no_vectors(tmp_path: Path) -> None:
    async with asking(tmp_path) as there:
        assert code(await there.post("embeddings", {"input": "a"})) == (502, "model_refused")


async def test_making_vectors_is_recorded_like_a_call(tmp_path: Path) -> None:
    async with asking(tmp_path, embedding_model="tiny") as there:
        await there.post("embeddings", {"input": "private"}, headers={"traceparent": TRACEPARENT})
        calls = (await there.http.get("/api/v1/calls")).json()["calls"]

    (call,) = calls
    assert (call["method"], call["principal"], call["door"]) == ("embeddings", "key:owner", "rest")
    assert (call["outcome"], call["trace"]) == ("ok", TRACEPARENT.split("-")[1])
    assert call["arguments"].startswith("sha256:")
    assert "private" not in str(calls)


async def test_no_vectors_are_made_while_memory_is_short(tmp_path: Path) -> None:
    async with asking(tmp_path, embedding_model="tiny") as there:
        there.home.app.memory.note(Reading(total=1000, available=10, limit=1000, used=990))
        answer = await there.post("embeddings", {"input": "a"})

    assert code(answer) == (503, "overloaded")
    assert answer.headers["retry-after"] == "5"
    assert there.model.embedded == []
