"""Stateless clients in front of servers that ask in mid-call: the call waits, the next request goes on with it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_gateway.security.keys import hashed, new_key
from mcp_gateway.upstream.dispatch.stdio import StdioDispatcher

from tests import fakes
from tests.fakes.asking_server import PAGE, Asking
from tests.fakes.everything import sse_app
from tests.interaction.asking import error_of, text_of, until
from tests.interaction.house import Door, House, gateway, house, served
from tests.interaction.requirements import shows
from tests.interaction.test_midcall import Heard

CHILD: dict[str, Any] = {"command": sys.executable, "cwd": str(Path(fakes.__file__).parents[2])}
ASKING = ["-m", "tests.fakes.asking_server"]
pytestmark = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")  # the upstream logs


class Answering(Heard):
    """Answers everything, in the order it was asked."""

    async def on_elicitation(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.questions.append(params.message)
        is_form = isinstance(params, types.ElicitRequestFormParams)
        return types.ElicitResult(action="accept", content={"name": "Ada"} if is_form else None)


@asynccontextmanager
async def over_stdio(folder: Path, **config: Any) -> AsyncIterator[House]:
    child = {**CHILD, "args": [*ASKING, "--legacy"], "era": "legacy"}
    async with gateway(folder, {"mcpServers": {"up": child}, **config}) as (app, doors):
        yield House.of(app, doors)


@asynccontextmanager
async def over_sse(folder: Path, **config: Any) -> AsyncIterator[House]:
    everything = Asking()
    async with served(sse_app(everything.server())) as up:
        servers = {"up": {"url": f"{up.origin}/sse", "type": "sse"}}
        async with gateway(folder, {"mcpServers": servers, **config}) as (app, doors):
            yield House(everything, app, doors, up)


def over_http(folder: Path, **config: Any) -> AbstractAsyncContextManager[House]:
    return house(folder, everything=Asking(), **config)


Far = Callable[..., AbstractAsyncContextManager[House]]


@dataclass(frozen=True)
class Way:
    """From a client through a door to the far end."""

    far: Far
    door: Door

    @asynccontextmanager
    async def client(self, folder: Path, **options: Any) -> AsyncIterator[Client]:
        async with self.far(folder) as home, home.client(self.door, **options) as client:
            yield client


WAYS = {
    "stdio": Way(over_stdio, Door.STDIO_MODERN),
    "http": Way(over_http, Door.HTTP_MODERN),
    "sse": Way(over_sse, Door.HTTP_MODERN),
}


@pytest.fixture(params=list(WAYS.values()), ids=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with over_http(tmp_path) as running:
        yield running


@asynccontextmanager
async def keyed(home: House, key: str) -> AsyncIterator[Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=20) as http,
        Client(streamable_http_client(home.url, http_client=http), **Answering().answering) as client,
    ):
        yield client


async def begun(client: Client, tool: str, **arguments: Any) -> types.InputRequiredResult:
    """What a call asks, left to the test to answer."""
    result = await client.session.call_tool(f"up__{tool}", arguments, allow_input_required=True)
    assert isinstance(result, types.InputRequiredResult)
    return result


async def answered(client: Client, asked: types.InputRequiredResult, tool: str, **arguments: Any) -> Any:
    answers: Any = {
        key: types.ElicitResult(action="accept", content={"name": "Ada"}) for key in asked.input_requests or ()
    }
    return await client.session.call_tool(
        f"up__{tool}",
        arguments,
        input_responses=answers,
        request_state=asked.request_state,
        allow_input_required=True,
    )


async def counted(client: Client) -> dict[str, Any]:
    """What the upstream remembers; this call is one of `calls`."""
    return (await client.call_tool("up__count", {})).structured_content or {}


async def counted_until(client: Client, reached: Callable[[dict[str, Any]], bool]) -> None:
    """Ask the upstream what it remembers until that is enough; `counted` is how often it was asked."""
    with anyio.fail_after(10):
        for times in count(1):
            if reached({**await counted(client), "counted": times}):
                return


async def refusal(call: Awaitable[Any]) -> tuple[int, str, Any]:
    with pytest.raises(MCPError) as refused:
        await call
    return error_of(refused.value)


REFUSED = (-32602, "Invalid or expired requestState", {"code": "invalid_request_state"})


@shows("questions-parked")
async def test_a_tool_that_asks_several_times_runs_once(tmp_path: Path, way: Way) -> None:
    heard = Answering()
    async with way.client(tmp_path, **heard.answering) as client:
        result = await client.call_tool("up__survey", {})
        seen = await counted(client)

    assert text_of(result) == "42 Ada accept"
    assert sorted(heard.questions) == ["sampling", "sure?", "who?"]
    assert seen["calls"] == 2


@shows("questions-parked")
async def test_what_is_asked_goes_out_in_the_words_of_2026(home: House) -> None:
    async with home.client(Door.HTTP_MODERN, **Answering().answering) as client:
        asked = [await begun(client, tool) for tool in ("sample", "elicit")]
    async with home.client(Door.HTTP_MODERN, list_roots_callback=Answering().on_roots) as client:
        asked.append(await begun(client, "roots"))

    wire = [one.model_dump(by_alias=True, mode="json", exclude_none=True) for one in asked]
    assert [[question["method"] for question in one["inputRequests"].values()] for one in wire] == [
        ["sampling/createMessage"],
        ["elicitation/create"],
        ["roots/list"],
    ]
    assert {one["resultType"] for one in wire} == {"input_required"}
    assert len(home.app.gateway.parked) == 3


@shows("questions-parked", "progress", "logging")
async def test_the_request_with_the_answers_hears_the_rest(tmp_path: Path, way: Way) -> None:
    heard = Answering()
    options: dict[str, Any] = {"log_level": "info", "logging_callback": heard.on_log, **heard.answering}
    async with way.client(tmp_path, **options) as client:
        await client.call_tool("up__survey", {}, progress_callback=heard.on_progress)

    assert heard.progress == [(1, 2, "half"), (2, 2, "whole")]
    assert heard.logs == [("warning", "careful")]


@shows("questions-parked")
async def test_a_prompt_may_ask_as_well(home: House) -> None:
    heard = Answering()
    async with home.client(Door.HTTP_MODERN, **heard.answering) as client:
        prompt = await client.get_prompt("up__greet", {"who": "?"})

    (message,) = prompt.messages
    assert message.content == types.TextContent(type="text", text="Greet Ada.")


@shows("questions-parked")
async def test_the_answers_may_come_over_another_connection_and_only_once(home: House) -> None:
    async with (
        home.client(Door.HTTP_MODERN, **Answering().answering) as one,
        home.client(Door.STDIO_MODERN, **Answering().answering) as other,
    ):
        asked = await begun(one, "elicit")
        result = await answered(other, asked, "elicit")
        again = [await refusal(answered(client, asked, "elicit")) for client in (one, other)]

    assert text_of(result) == "accept Ada"
    assert again == [REFUSED, REFUSED]
    assert home.everything.calls == 1


@shows("questions-parked")
async def test_a_state_that_was_changed_or_belongs_to_another_request_is_refused(home: House) -> None:
    async with home.client(Door.HTTP_MODERN, **Answering().answering) as client:
        asked = await begun(client, "elicit")
        state = asked.request_state or ""
        forged = asked.model_copy(update={"request_state": ("A" if state[0] != "A" else "B") + state[1:]})
        refusals = [
            await refusal(answered(client, forged, "elicit")),
            await refusal(answered(client, asked, "elicit", more=1)),
            await refusal(answered(client, asked, "echo")),
        ]
        result = await answered(client, asked, "elicit")

    assert refusals == [REFUSED] * 3
    assert text_of(result) == "accept Ada"
    assert home.everything.calls == 1


@shows("questions-parked")
async def test_nobody_else_answers_for_a_key(tmp_path: Path) -> None:
    keys = {name: new_key() for name in ("ann", "bob")}
    auth = {"keys": [{"name": name, "hash": hashed(key)} for name, key in keys.items()]}
    async with (
        house(tmp_path, everything=Asking(), auth=auth) as home,
        keyed(home, keys["ann"]) as ann,
        keyed(home, keys["bob"]) as bob,
    ):
        asked = await begun(ann, "elicit")
        refused = await refusal(answered(bob, asked, "elicit"))
        result = await answered(ann, asked, "elicit")

    assert refused == REFUSED
    assert text_of(result) == "accept Ada"


@shows("questions-parked")
async def test_a_call_that_is_not_answered_in_time_is_cancelled(tmp_path: Path, way: Way) -> None:
    async with (
        way.far(tmp_path, limits={"answer_within": 0.2}) as home,
        home.client(way.door, **Answering().answering) as client,
    ):
        asked = await begun(client, "patient")
        await counted_until(client, lambda seen: seen["cancelled"] == 1)
        refused = await refusal(answered(client, asked, "patient"))

    assert refused == REFUSED


@shows("questions-parked")
async def test_the_time_of_a_call_stands_still_while_its_client_is_asked(tmp_path: Path) -> None:
    async with (
        house(tmp_path, everything=Asking(), entry={"timeout": 1}) as home,
        home.client(Door.HTTP_MODERN, **Answering().answering) as client,
    ):
        asked = await begun(client, "elicit")
        await anyio.sleep(1.5)
        result = await answered(client, asked, "elicit")

    assert text_of(result) == "accept Ada"


@shows("questions-parked", "failure-tool")
async def test_a_server_that_ends_while_its_call_waits_is_told_to_who_comes_back(tmp_path: Path) -> None:
    async with over_stdio(tmp_path) as home, home.client(Door.HTTP_MODERN, **Answering().answering) as client:
        asked = await begun(client, "elicit")
        dispatcher = home.app.upstreams.agent("up").link
        assert dispatcher is not None
        assert isinstance(dispatcher.dispatcher, StdioDispatcher)
        os.kill(dispatcher.dispatcher.pid or 0, signal.SIGKILL)
        result = await answered(client, asked, "elicit")

    assert result.is_error
    assert result.meta["io.mcp-gateway/error"] == {"code": "upstream_disconnected", "server": "up"}


@shows("questions-parked")
async def test_who_declares_nothing_is_asked_nothing(tmp_path: Path, way: Way) -> None:
    async with way.client(tmp_path) as client:
        refused = await refusal(client.call_tool("up__elicit", {}))

    assert "declined" in refused[1] or "not" in refused[1].lower()


@shows("questions-parked", "cancel-by-leaving")
async def test_a_client_that_leaves_while_it_waits_has_cancelled_all_the_same(home: House) -> None:
    async with home.client(Door.HTTP_MODERN, **Answering().answering) as client:
        with anyio.move_on_after(0.3):
            await client.call_tool("up__wait", {})
        await until(lambda: home.everything.calls == 1 and home.everything.cancelled == 1)


@shows("questions-parked", "questions-apart")
async def test_a_shared_pipe_does_not_say_whose_question_it_is(tmp_path: Path) -> None:
    heard = Answering()
    async with (
        over_stdio(tmp_path) as home,
        home.client(Door.HTTP_MODERN, **heard.answering) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(client.call_tool, "up__wait", {"seconds": 20})
        await counted_until(client, lambda seen: seen["calls"] > seen["counted"])
        refused = await refusal(client.call_tool("up__elicit", {}))
        group.cancel_scope.cancel()

    assert "isolation: session" in refused[1]
    assert heard.questions == []


@shows("questions-parked")
async def test_a_page_to_open_is_asked_for(tmp_path: Path, way: Way) -> None:
    async with way.client(tmp_path, **Answering().answering) as client:
        asked = await begun(client, "page")
        result = await answered(client, asked, "page")

    (question,) = (asked.input_requests or {}).values()
    params = question.model_dump(by_alias=True, mode="json", exclude_none=True)["params"]
    assert params == {"mode": "url", "message": "open it", "url": PAGE}
    assert text_of(result) == "page accept"


@shows("questions-parked")
async def test_a_page_that_has_to_be_opened_first_is_asked_for_and_then_the_tool_is_called(home: House) -> None:
    async with home.client(Door.HTTP_MODERN, **Answering().answering) as client:
        result = await client.call_tool("up__wall", {})

    assert text_of(result) == "through"


@shows("questions-parked")
async def test_a_page_that_is_not_opened_ends_the_call(home: House) -> None:
    async with home.client(Door.HTTP_MODERN, **Answering().answering) as client:
        asked = await begun(client, "wall")
        answers: Any = {key: types.ElicitResult(action="decline") for key in asked.input_requests or ()}
        result = await client.session.call_tool("up__wall", {}, input_responses=answers)

    assert result.is_error
    assert (result.meta or {})["io.mcp-gateway/error"] == {"code": "cancelled", "server": "up"}
    assert home.everything.calls == 1


# -- the other way: legacy clients in front of a server that answers with its questions ------------------------------


@asynccontextmanager
async def modern_over_stdio(folder: Path) -> AsyncIterator[House]:
    child = {**CHILD, "args": ASKING, "era": "modern"}
    async with gateway(folder, {"mcpServers": {"up": child}}) as (app, doors):
        yield House.of(app, doors)


def modern_over_http(folder: Path) -> AbstractAsyncContextManager[House]:
    return house(folder, era="modern", everything=Asking())


DRIVEN_WAYS = {
    "stdio": Way(modern_over_stdio, Door.STDIO_LEGACY),
    "http": Way(modern_over_http, Door.HTTP_LEGACY),
    "sse": Way(modern_over_http, Door.SSE),
}


@pytest.fixture(params=list(DRIVEN_WAYS.values()), ids=list(DRIVEN_WAYS))
def driven_way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@shows("questions-driven")
async def test_a_session_is_asked_round_after_round(tmp_path: Path, driven_way: Way) -> None:
    heard = Answering()
    async with driven_way.client(tmp_path, **heard.answering) as client:
        result = await client.call_tool("up__survey", {})

    assert text_of(result) == "42 Ada accept"
    assert sorted(heard.questions) == ["sampling", "sure?", "who?"]


@shows("questions-driven")
async def test_a_session_is_asked_to_open_a_page_and_hears_when_it_is_done(tmp_path: Path, driven_way: Way) -> None:
    pages: list[types.ElicitRequestURLParams] = []
    done: list[str] = []

    async def on_elicitation(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestURLParams)
        pages.append(params)
        return types.ElicitResult(action="accept")

    async def on_message(message: Any) -> None:
        if isinstance(message, types.ElicitCompleteNotification):
            done.append(message.params.elicitation_id)

    options: dict[str, Any] = {"elicitation_callback": on_elicitation, "message_handler": on_message}
    async with driven_way.client(tmp_path, **options) as client:
        result = await client.call_tool("up__page", {})
        await until(lambda: done)

    assert text_of(result) == "page accept"
    assert [page.url for page in pages] == [PAGE]
    assert done == [page.elicitation_id for page in pages]


@shows("questions-driven")
@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_saying_no_is_an_answer(tmp_path: Path, action: Any) -> None:
    async def on_elicitation(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action=action)

    async with (
        modern_over_http(tmp_path) as home,
        home.client(Door.HTTP_LEGACY, elicitation_callback=on_elicitation) as client,
    ):
        result = await client.call_tool("up__elicit", {})

    assert text_of(result) == f"modern {action}"


@shows("questions-driven")
async def test_a_refused_question_takes_the_others_back(tmp_path: Path) -> None:
    given_up = anyio.Event()

    async def on_elicitation(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        try:
            await anyio.sleep(20)
        finally:
            given_up.set()
        return types.ElicitResult(action="cancel")

    async def on_sampling(context: Any, params: Any) -> types.ErrorData:
        return types.ErrorData(code=-1, message="rather not")

    options: dict[str, Any] = {"elicitation_callback": on_elicitation, "sampling_callback": on_sampling}
    async with modern_over_http(tmp_path) as home, home.client(Door.HTTP_LEGACY, **options) as client:
        refused = await refusal(client.call_tool("up__survey", {}))
        with anyio.fail_after(5):
            await given_up.wait()

    assert refused[:2] == (-32603, "the client did not answer: rather not")
