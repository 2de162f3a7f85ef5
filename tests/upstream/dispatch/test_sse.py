"""Legacy HTTP+SSE: opening, calls over one shared stream, faults, and the end of the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from mcp_gateway.errors import (
    GatewayError,
    RpcError,
    UpstreamAuth,
    UpstreamDisconnected,
    UpstreamMessageTooLarge,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.dispatch.sse import SseDispatcher
from mcp_gateway.wire import Raw, RawParams

from tests.fakes.http_server import Request, ScriptedServer, Wire, scripted
from tests.upstream.dispatch.https import handshake, sse
from tests.upstream.dispatch.pipes import Remembering, ask, until, wait_forever
from tests.upstream.dispatch.sdk_servers import Probe, mcp_server, serving, sse_app

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")

OnPost = Callable[["Stream", Request], Awaitable[None]]


class Stream:
    """The event stream of a scripted upstream; a script of posts writes to it."""

    def __init__(self, on_post: OnPost, endpoint: str = "/messages?session_id=1") -> None:
        self._on_post = on_post
        self._endpoint = endpoint
        self._ended = anyio.Event()
        self.wire: Wire

    async def __call__(self, request: Request, wire: Wire) -> None:
        if request.verb == "GET":
            self.wire = wire
            await wire.begin_events()
            await wire.chunk(f"event: endpoint\ndata: {self._endpoint}\n\n".encode())
            await self._ended.wait()
        else:
            await wire.whole(202, b"Accepted")
            await self._on_post(self, request)

    async def tell(self, message: Any) -> None:
        await self.wire.event(message)

    def reset(self) -> None:
        self.wire.reset()

    async def end(self) -> None:
        await self.wire.end_events()
        self._ended.set()


async def echoing(stream: Stream, request: Request) -> None:
    if "id" in request.json and "method" in request.json:
        await stream.tell({"id": request.json["id"], "result": {"echo": request.json.get("params")}})


@asynccontextmanager
async def connected(on_post: OnPost, **more: Any) -> AsyncIterator[tuple[ScriptedServer, SseDispatcher]]:
    async with scripted(Stream(on_post)) as server, sse(server.url, **more) as upstream:
        yield server, upstream


async def test_answers_come_back_on_the_stream() -> None:
    async with connected(echoing, headers={"x-key": "k"}) as (server, upstream):
        assert await ask(upstream, "tools/call", {"n": 1}) == {"echo": {"n": 1}}
        assert await ask(upstream, "tools/call", {"n": 2}) == {"echo": {"n": 2}}
        opened, *posts = server.requests
        assert (opened.verb, opened.target, opened.header("accept")) == ("GET", "/mcp", "text/event-stream")
        assert {post.target for post in posts} == {"/messages?session_id=1"}
        assert {request.header("x-key") for request in server.requests} == {"k"}
        assert server.connections == 2


async def test_many_calls_at_once_each_get_their_own_answer() -> None:
    got: dict[int, object] = {}

    async def one(upstream: SseDispatcher, number: int) -> None:
        got[number] = await ask(upstream, "tools/call", {"n": number})

    async with connected(echoing) as (_, upstream), anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, upstream, number)
    assert got == {number: {"echo": {"n": number}} for number in range(50)}


async def refused_with(
    script: Callable[[Request, Wire], Awaitable[None]], expected: type[GatewayError]
) -> GatewayError:
    """The error of opening; nothing of the connection may be left."""
    async with scripted(script) as server:
        with anyio.fail_after(5), pytest.raises(expected) as failed:
            async with sse(server.url):
                raise AssertionError("it opened")
    return failed.value


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, UpstreamAuth), (404, UpstreamProtocolError), (405, UpstreamProtocolError), (500, UpstreamUnavailable)],
)
async def test_a_refused_stream_is_the_error_of_its_status(status: int, expected: type[GatewayError]) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(status, b"")

    assert (await refused_with(script, expected)).status == status


async def test_an_answer_without_a_stream_is_not_the_protocol() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json({})

    await refused_with(script, UpstreamProtocolError)


async def test_a_stream_that_ends_before_its_endpoint_is_disconnected() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        await wire.end_events()

    await refused_with(script, UpstreamDisconnected)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1/x", "https://elsewhere.example/x", "ftp://x/"])
async def test_an_endpoint_of_another_origin_is_refused(endpoint: str) -> None:
    await refused_with(Stream(echoing, endpoint), UpstreamProtocolError)


async def test_an_endpoint_may_be_relative_or_absolute() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await stream(request, wire)

    async with scripted(script) as server:
        for endpoint in ("post", f"{server.url}/post", "?x=1"):
            stream = Stream(echoing, endpoint)
            async with sse(server.url) as upstream:
                await ask(upstream, "tools/call", {})
        targets = [request.target for request in server.requests if request.verb == "POST"]
    assert targets == ["/post", "/mcp/post", "/mcp?x=1"]


async def test_an_unreachable_upstream_is_unavailable() -> None:
    async with scripted(Stream(echoing)) as server:
        url = server.url
    with pytest.raises(UpstreamUnavailable, match="connection refused"):
        async with sse(url):
            raise AssertionError("it opened")


@pytest.mark.parametrize("cut", ["end", "reset"])
async def test_the_end_of_the_stream_fails_all_calls_and_closes(cut: str) -> None:
    async def on_post(stream: Stream, request: Request) -> None:
        if request.json["id"] == 2:
            await stream.end() if cut == "end" else stream.reset()

    async def fail(upstream: SseDispatcher) -> None:
        with pytest.raises(UpstreamDisconnected):
            await upstream.call("tools/call", {})

    async with connected(on_post) as (_, upstream):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fail, upstream)
                tasks.start_soon(fail, upstream)
            await upstream.closed.wait()
            with pytest.raises(UpstreamDisconnected):
                await upstream.call("tools/call", {})
        assert isinstance(upstream.failure, UpstreamDisconnected)


async def test_leaving_is_no_failure_and_ends_the_calls_under_way() -> None:
    failures: list[str] = []

    async def silent(stream: Stream, request: Request) -> None:
        return

    async def wait(upstream: SseDispatcher) -> None:
        with pytest.raises(UpstreamDisconnected) as failed:
            await upstream.call("tools/call", {})
        failures.append(failed.value.message)

    async with anyio.create_task_group() as tasks:
        async with connected(silent) as (server, upstream):
            tasks.start_soon(wait, upstream)
            await server.until(lambda: len(server.requests) == 2)
        assert upstream.closed.is_set()
        assert upstream.failure is None
    assert failures == ["upstream 'fake' was closed"]


async def test_an_event_above_the_cap_ends_the_stream_with_that_error() -> None:
    async def on_post(stream: Stream, request: Request) -> None:
        await stream.tell({"id": request.json["id"], "result": {"x": "y" * 2000}})

    async with connected(on_post, max_message_bytes=1000) as (_, upstream):
        with pytest.raises(UpstreamMessageTooLarge):
            await upstream.call("tools/call", {})
        assert isinstance(upstream.failure, UpstreamMessageTooLarge)


@pytest.mark.parametrize(
    "answer",
    [b'{"id": ID, "result": {"x": NaN}}', b'{"result": {"x": "\\ud800"}, "id": ID}', b'[{"id": ID, "result": {}}]'],
)
async def test_a_broken_answer_fails_its_call_at_once_and_no_other(answer: bytes) -> None:
    async def on_post(stream: Stream, request: Request) -> None:
        if request.json["method"] == "tools/call":
            await stream.wire.chunk(b"data: " + answer.replace(b"ID", str(request.json["id"]).encode()) + b"\n\n")
        else:
            await echoing(stream, request)

    async with connected(on_post) as (_, upstream):
        with anyio.fail_after(5):
            with pytest.raises(UpstreamProtocolError):
                await upstream.call("tools/call", {})
            assert await ask(upstream, "tools/list", {}) == {"echo": {}}
        assert upstream.faults == {"bad_event": 1}


async def test_garbage_and_late_answers_are_counted_and_passed_over() -> None:
    async def on_post(stream: Stream, request: Request) -> None:
        await stream.wire.chunk(b"data: garbage\n\nevent: other\ndata: x\n\n: comment\n\nevent: endpoint\ndata: /x\n\n")
        await stream.tell({"id": 99, "result": {}})
        await echoing(stream, request)

    async with connected(on_post) as (_, upstream):
        assert await ask(upstream, "tools/call", {}) == {"echo": {}}
        assert upstream.faults == {"bad_event": 1, "late_answer": 1, "second_endpoint": 1}


async def test_a_refused_post_fails_its_call() -> None:
    stream = Stream(echoing)

    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "POST":
            await wire.json({"id": 1, "error": {"code": -5, "message": "no"}}, 400)
        else:
            await stream(request, wire)

    async with scripted(script) as server, sse(server.url) as upstream:
        with pytest.raises(RpcError):
            await upstream.call("tools/call", {})
        with pytest.raises(UpstreamProtocolError):
            await upstream.notify("notifications/initialized")


async def test_progress_goes_by_its_token_and_the_rest_by_the_single_owner() -> None:
    async def on_post(stream: Stream, request: Request) -> None:
        id = request.json["id"]
        await stream.tell({"method": "notifications/progress", "params": {"progressToken": id, "progress": 1}})
        await stream.tell({"method": "notifications/message", "params": {}})
        await stream.tell({"id": id, "result": {}})

    sink = Remembering(token="t")
    async with connected(on_post) as (_, upstream):
        await upstream.call("tools/call", {}, sink)
    assert [method for method, _ in sink.heard] == ["notifications/progress", "notifications/message"]


async def question_during(sinks: list[Remembering]) -> dict[str, Any]:
    """What an upstream hears that asks while these sinks' calls are under way."""
    reply: dict[str, Any] = {}

    async def on_post(stream: Stream, request: Request) -> None:
        if "method" not in request.json:
            reply.update(request.json)
            for id in range(1, len(sinks) + 1):
                await stream.tell({"id": id, "result": {}})
        elif request.json["id"] == len(sinks):
            await stream.tell({"id": "q", "method": "sampling/createMessage", "params": {}})

    async with connected(on_post) as (_, upstream):
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for sink in sinks:
                    tasks.start_soon(upstream.call, "tools/call", {}, sink)
    return reply


async def test_a_question_goes_to_the_single_owner() -> None:
    assert (await question_during([Remembering("a"), Remembering("a")]))["result"] == {"model": "mine"}


async def test_a_question_is_declined_while_several_owners_have_calls() -> None:
    reply = await question_during([Remembering("a"), Remembering("b")])
    assert "isolation: session" in reply["error"]["message"]


async def test_a_flood_of_questions_is_refused_beyond_the_cap() -> None:
    replies: list[Any] = []

    async def on_post(stream: Stream, request: Request) -> None:
        if "method" not in request.json:
            replies.append(request.json)
            if len(replies) == 3:
                await stream.tell({"id": 1, "result": {}})
        else:
            for number in range(35):
                await stream.tell({"id": f"q{number}", "method": "sampling/createMessage", "params": {}})

    async with connected(on_post) as (_, upstream):
        with anyio.fail_after(5):
            await upstream.call("tools/call", {}, Remembering(reply=wait_forever))
        assert upstream.faults["question_flood"] == 3


async def test_cancelling_tells_the_upstream() -> None:
    async def silent(stream: Stream, request: Request) -> None:
        return

    async with connected(silent) as (server, upstream), anyio.create_task_group() as tasks:
        tasks.start_soon(upstream.call, "tools/call", {})
        await server.until(lambda: len(server.requests) == 2)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await server.until(lambda: len(server.requests) == 3)
    assert server.requests[2].json == {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": 1},
    }


async def test_a_real_server_is_called_with_progress_and_questions() -> None:
    async def answer(method: str, params: RawParams) -> Raw:
        return Raw(b'{"role":"assistant","model":"m","content":{"type":"text","text":"42"}}')

    sink = Remembering(token="t", reply=answer)
    async with serving(sse_app(mcp_server(Probe()))) as url, sse(f"{url}/sse") as upstream:
        await handshake(upstream, sampling={})
        for name, text in (("echo", ""), ("talk", ""), ("ask", "42")):
            result = await ask(upstream, "tools/call", {"name": name, "arguments": {}}, sink=sink)
            assert result["content"][0]["text"] == text
    assert [method for method, _ in sink.heard] == ["notifications/progress", "notifications/message"]


async def test_cancelling_reaches_the_tool_of_a_real_server() -> None:
    probe = Probe()
    async with serving(sse_app(mcp_server(probe))) as url, sse(f"{url}/sse") as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(upstream.call, "tools/call", {"name": "hang", "arguments": {}})
                await probe.hanging.wait()
                tasks.cancel_scope.cancel()
            await probe.cancelled.wait()


async def test_a_notification_without_an_owner_is_the_listeners() -> None:
    heard: list[str] = []

    async def on_post(stream: Stream, request: Request) -> None:
        await stream.tell({"method": "notifications/tools/list_changed"})

    async with connected(on_post, listener=lambda method, params: heard.append(method)) as (_, upstream):
        await upstream.notify("notifications/initialized")
        await until(lambda: heard == ["notifications/tools/list_changed"])
