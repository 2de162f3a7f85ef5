"""Calls over REST: tools, prompts and resources, one by one and through the views of their callers."""

from __future__ import annotations

import anyio
import httpx2
import pytest
from mcp_gateway.errors import ERROR_META_KEY

from tests.downstream.rest.errors import code, failure
from tests.downstream.rest.people import as_person
from tests.interaction.asking import until
from tests.interaction.house import House

ECHO = "/api/v1/tools/up__echo/call"


async def test_a_call_is_answered_with_the_tools_result(people: httpx2.AsyncClient) -> None:
    response = await people.post(ECHO, json={"arguments": {"text": "x"}})

    assert response.status_code == 200
    assert response.json()["structuredContent"] == {"echoed": {"text": "x"}, "none": None, "one": 1.0}


async def test_a_call_without_a_body_has_no_arguments(people: httpx2.AsyncClient) -> None:
    assert (await people.post(ECHO)).json()["structuredContent"]["echoed"] == {}


async def test_a_call_that_fails_is_a_result_too(http: httpx2.AsyncClient, home: House) -> None:
    await home.upstream.stop()
    response = await http.post(ECHO, json={})

    assert response.status_code == 200
    assert response.json()["isError"] is True
    assert response.json()["_meta"][ERROR_META_KEY]["server"] == "up"


async def test_a_deadline_of_the_callers_own_holds(people: httpx2.AsyncClient) -> None:
    body = {"arguments": {"seconds": 60}, "timeout_s": 0.2}
    response = await people.post("/api/v1/tools/up__wait/call", json=body)

    assert response.json()["_meta"][ERROR_META_KEY]["code"] == "upstream_timeout"


@pytest.mark.parametrize(
    "body",
    [
        b"hello",
        b"[]",
        b'{"arguments":[]}',
        b'{"arguments":"x"}',
        b'{"arguments":{"n":NaN}}',
        b'{"arguments":{"n":1e999}}',
        b'{"args":{}}',
        b'{"timeout_s":0}',
        b'{"timeout_s":true}',
        b'{"timeout_s":"5"}',
        b'{"command":"sh","arguments":{}}',
        b"[" * 50_000,
    ],
)
async def test_a_body_of_another_shape_is_refused(people: httpx2.AsyncClient, body: bytes) -> None:
    assert failure(await people.post(ECHO, content=body)) == (400, {"code": "invalid_params"})


async def test_an_unknown_tool_is_404(people: httpx2.AsyncClient) -> None:
    assert failure(await people.post("/api/v1/tools/up__ehco/call", json={})) == (404, {"code": "unknown_name"})


async def test_arguments_reach_the_tool_as_they_came(people: httpx2.AsyncClient) -> None:
    response = await people.post(ECHO, content=b'{"arguments":{"whole":1.0,"small":1e-7}}')

    assert response.json()["structuredContent"]["echoed"] == {"whole": 1.0, "small": 1e-7}
    assert b'"whole":1.0' in response.content


async def test_what_is_wrong_with_a_body_is_said(people: httpx2.AsyncClient) -> None:
    response = await people.post(ECHO, json={"argments": {}})

    assert response.json()["error"] == "the request body: unknown member 'argments', did you mean 'arguments'?"


async def test_a_body_above_the_limit_is_413(http: httpx2.AsyncClient, home: House) -> None:
    body = b"{" + b" " * home.app.config.limits.max_body + b"}"

    assert code(await http.post(ECHO, content=body)) == (413, "message_too_large")


async def test_a_prompt_is_filled_in(people: httpx2.AsyncClient) -> None:
    response = await people.post("/api/v1/prompts/up__greet", json={"arguments": {"who": "Ada"}})

    assert response.json()["messages"][0]["content"]["text"] == "Greet Ada."


async def test_a_resource_is_read(people: httpx2.AsyncClient) -> None:
    response = await people.post("/api/v1/resources/read", json={"uri": "test://items/5"})

    assert response.json()["contents"][0]["text"] == "contents of test://items/5"


async def test_an_upstreams_own_error_is_told(people: httpx2.AsyncClient) -> None:
    status, details = failure(await people.post("/api/v1/resources/read", json={"uri": "test://items/missing"}))

    assert (status, details["code"], details["rpc"]["message"]) == (404, "upstream_error", "no such item")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/prompts/up__nothing", {}),
        ("/api/v1/resources/read", {"uri": "nowhere://at/all"}),
        ("/api/v1/tools/a/b/call", {}),
    ],
)
async def test_what_is_not_there_is_404(people: httpx2.AsyncClient, path: str, body: dict[str, str]) -> None:
    assert code(await people.post(path, json=body)) == (404, "unknown_name")


@pytest.mark.parametrize(
    ("person", "path", "body"),
    [
        ("stranger", ECHO, {}),
        ("stranger", "/api/v1/prompts/up__greet", {"arguments": {"who": "x"}}),
        ("stranger", "/api/v1/resources/read", {"uri": "test://static"}),
        ("echoer", "/api/v1/tools/up__wait/call", {}),
    ],
)
async def test_what_is_hidden_is_not_there(
    people: httpx2.AsyncClient, person: str, path: str, body: dict[str, object]
) -> None:
    assert code(await people.post(path, json=body, headers=as_person(person))) == (404, "unknown_name")


async def test_a_granted_tool_can_be_called(people: httpx2.AsyncClient) -> None:
    response = await people.post(ECHO, json={}, headers=as_person("echoer"))

    assert response.json()["structuredContent"]["echoed"] == {}


async def test_a_call_needs_its_scope(people: httpx2.AsyncClient) -> None:
    assert code(await people.post(ECHO, json={}, headers=as_person("reader"))) == (403, "forbidden")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_goes_away_ends_its_call(http: httpx2.AsyncClient, home: House, stream: bool) -> None:
    async def call() -> None:
        await http.post("/api/v1/tools/up__wait/call", json={"stream": stream})

    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await until(lambda: home.everything.calls)
        assert home.app.endpoint.in_flight.count == 1
        group.cancel_scope.cancel()

    await until(lambda: home.everything.cancelled)
    await until(lambda: not home.app.endpoint.in_flight.count)
