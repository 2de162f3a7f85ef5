"""What the fast lane takes, what it leaves to the SDK, and that nobody can tell but by the time it takes.

In the handshake era the SDK answers with an event stream where the lane answers with
JSON, which shows who answered. Everything else here holds for both.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp_gateway.downstream.http import HttpRules, http_app
from mcp_gateway.security.keys import hashed, new_key

from tests.interaction.asking import until
from tests.interaction.house import House, house, served
from tests.interaction.posting import Session, messages
from tests.lane import FAST_LANE

pytestmark = pytest.mark.skipif(not FAST_LANE, reason="asked for without the fast lane")

WAIT = {"name": "up__wait", "arguments": {"seconds": 60}}
ECHO = {"name": "up__echo", "arguments": {"text": "hello"}}


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as running:
        yield running


@pytest.fixture
async def session(home: House) -> AsyncIterator[Session]:
    async with Session(home.url) as opened:
        yield opened


def call(id: Any, params: Any = ECHO) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}


def by_the_lane(response: httpx2.Response) -> bool:
    return response.headers["content-type"] == "application/json"


def text_of(message: dict[str, Any]) -> str:
    text: str = message["result"]["content"][0]["text"]
    return text


async def test_a_call_of_a_session_is_answered_as_json(session: Session) -> None:
    response = await session.post(call(7))

    assert (response.status_code, by_the_lane(response)) == (200, True)
    assert response.headers["mcp-session-id"] == session.headers["Mcp-Session-Id"]
    assert (response.json()["id"], text_of(response.json())) == (7, "hello")


@pytest.mark.parametrize("id", ["x", 'q"\\\u00e9', 0, -5, 2**53])
async def test_the_id_is_the_clients(session: Session, id: int | str) -> None:
    response = await session.post(call(id))

    assert by_the_lane(response)
    assert response.json()["id"] == id


async def test_an_id_that_looks_like_a_large_number_is_one_like_others(session: Session) -> None:
    assert by_the_lane(await session.post(call("ask-1e999")))


@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1.5,"method":"tools/call","params":{"name":"up__echo"}}',
        b'{"id":1,"method":"tools/call","params":{"name":"up__echo"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{"n":1e999}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":5,"name":"up__echo"}}',
        b'{"jsonrpc":"2.0","id":true,"method":"tools/call","params":{"name":"up__echo"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo","arguments":{"n":%be99}}}'
        % (b"9" * 250),
        b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"up__echo"}}]',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call"',
        b"\xff\xfe",
    ],
)
async def test_what_is_odd_is_judged_as_without_the_lane(tmp_path: Path, body: bytes) -> None:
    judged = []
    for fast_lane in (True, False):
        async with (
            house(tmp_path / str(fast_lane), server={"fast_lane": fast_lane}) as home,
            Session(home.url) as session,
        ):
            response = await session.post(body)
            judged.append((response.status_code, [m.get("error", {}).get("code") for m in messages(response)]))

    assert judged[0] == judged[1]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Mcp-Session-Id": "nobodys"}, 404),
        ({"Accept": "application/json"}, 406),
        ({"Content-Type": "text/plain"}, 400),
        ({"MCP-Protocol-Version": "1999-01-01"}, 400),
    ],
)
async def test_what_a_header_forbids_is_refused(session: Session, headers: dict[str, str], status: int) -> None:
    session.headers |= headers
    response = await session.post(call(1))

    assert response.status_code == status


async def test_calls_with_the_same_id_get_each_its_own_answer(home: House, session: Session) -> None:
    heard: dict[str, str] = {}

    async def ask(text: str) -> None:
        response = await session.post(call(1, {"name": "up__echo", "arguments": {"text": text}}))
        heard[text] = text_of(response.json())

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(ask, f"text {number}")

    assert heard == {text: text for text in heard}
    assert len(heard) == 8


async def test_a_cancelled_call_is_answered_and_ends_upstream(home: House, session: Session) -> None:
    answers: list[dict[str, Any]] = []

    async def wait() -> None:
        answers.append((await session.post(call(5, WAIT))).json())

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await until(lambda: home.everything.calls == 1)
            await session.tell("notifications/cancelled", {"requestId": 5})
        await until(lambda: home.everything.cancelled == 1)

    assert answers[0]["error"] == {"code": -32800, "message": "Request cancelled"}


async def test_a_truth_value_is_no_id_to_cancel(home: House, session: Session) -> None:
    answers: list[dict[str, Any]] = []

    async def wait() -> None:
        answers.append((await session.post(call(1, {"name": "up__wait", "arguments": {"seconds": 0.3}}))).json())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await until(lambda: home.everything.calls == 1)
        await session.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": True}})

    assert text_of(answers[0]) == "waited"


async def test_another_session_cancels_nothing(home: House, session: Session) -> None:
    async with Session(home.url) as other, anyio.create_task_group() as group:
        group.start_soon(session.post, call(5, {"name": "up__wait", "arguments": {"seconds": 0.5}}))
        await until(lambda: home.everything.calls == 1)
        await other.tell("notifications/cancelled", {"requestId": 5})

    assert home.everything.cancelled == 0


async def test_the_end_of_a_session_ends_its_calls(home: House, session: Session) -> None:
    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            group.start_soon(session.post, call(5, WAIT))
            await until(lambda: home.everything.calls == 1)
            ended = await session.http.delete(session.url, headers=session.headers)
        await until(lambda: home.everything.cancelled == 1)

    assert ended.status_code == 200
    assert (await session.post(call(6))).status_code == 404


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_a_session_whose_client_left_in_mid_call_idles_out(home: House, fast_lane: bool) -> None:
    app, rules = home.app, HttpRules(session_idle_s=0.2, fast_lane=fast_lane)
    async with (
        served(http_app(app.gateway, app.endpoint, rules, app.process, app.access)) as doors,
        Session(f"{doors.origin}/mcp") as session,
    ):
        async with anyio.create_task_group() as group:
            group.start_soon(session.post, call(5, WAIT))
            await until(lambda: home.everything.calls == 1)
            await anyio.sleep(0.4)  # twice what an idle one lasts; one whose client waits is not
            assert not home.everything.cancelled
            group.cancel_scope.cancel()
        await until(lambda: home.everything.cancelled == 1)


async def test_progress_turns_the_answer_into_events(session: Session) -> None:
    params = {"name": "up__progress", "arguments": {}, "_meta": {"progressToken": "mine"}}
    response = await session.post(call(3, params))
    *told, answer = messages(response)

    assert response.headers["content-type"] == "text/event-stream"
    assert {message["params"]["progressToken"] for message in told} == {"mine"}
    assert answer["id"] == 3


async def test_a_session_of_anothers_key_is_not_there(tmp_path: Path) -> None:
    one, other = new_key(), new_key()
    keys = [{"name": "one", "hash": hashed(one)}, {"name": "other", "hash": hashed(other)}]
    async with house(tmp_path, auth={"keys": keys}) as home:
        session = Session(home.url)
        session.headers["X-API-Key"] = one
        async with session:
            own = await session.post(call(1))
            session.headers["X-API-Key"] = other
            stolen = await session.post(call(2))

    assert (own.status_code, stolen.status_code) == (200, 404)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # the upstream asks for roots
@pytest.mark.parametrize("no_answer", [{}, {"result": 5}, {"result": None}, {"error": 5}, {"error": {"code": "x"}}])
async def test_what_is_no_answer_is_refused_and_the_question_stays_open(home: House, no_answer: dict[str, Any]) -> None:
    session = Session(home.url, capabilities={"roots": {}})
    with anyio.fail_after(10):
        async with (
            session,
            session.http.stream(
                "POST", session.url, headers=session.headers, json=call(4, {"name": "up__roots", "arguments": {}})
            ) as stream,
        ):
            data = (line.removeprefix("data: ") async for line in stream.aiter_lines() if line.startswith("data: "))
            id = json.loads(await anext(data))["id"]
            refused = await session.post({"jsonrpc": "2.0", "id": id, **no_answer})
            answered = await session.post({"jsonrpc": "2.0", "id": id, "result": {"roots": []}})
            answer = json.loads(await anext(data))

    assert (refused.status_code, answered.status_code) == (400, 202)
    assert text_of(answer) == ""


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # the upstream asks for roots
async def test_a_question_goes_out_on_the_stream_of_its_call(home: House) -> None:
    session = Session(home.url, capabilities={"roots": {}})
    with anyio.fail_after(10):
        async with (
            session,
            session.http.stream(
                "POST", session.url, headers=session.headers, json=call(4, {"name": "up__roots", "arguments": {}})
            ) as stream,
        ):
            data = (line.removeprefix("data: ") async for line in stream.aiter_lines() if line.startswith("data: "))
            question = json.loads(await anext(data))
            roots = {"roots": [{"uri": "file:///here"}]}
            answered = await session.post({"jsonrpc": "2.0", "id": question["id"], "result": roots})
            answer = json.loads(await anext(data))

    assert (question["method"], answered.status_code) == ("roots/list", 202)
    assert "file:///here" in text_of(answer)


@pytest.mark.parametrize("fast_lane", [True, False])
async def test_the_setting_says_who_answers(tmp_path: Path, fast_lane: bool) -> None:
    async with house(tmp_path, server={"fast_lane": fast_lane}) as home, Session(home.url) as session:
        assert by_the_lane(await session.post(call(1))) is fast_lane
