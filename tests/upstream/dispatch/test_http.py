"""Streamable HTTP with a well-behaved upstream: what is sent, and what comes back."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp_gateway.errors import InvalidParams, RpcError, UpstreamDisconnected
from mcp_gateway.wire import Raw, RawParams, loads

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.https import LEGACY, MODERN, echo, handshake, http
from tests.upstream.dispatch.pipes import Remembering, ask, wait_forever


async def streaming(request: Request, wire: Wire) -> None:
    """Two notifications, then the answer, all on the call's stream."""
    id = request.json["id"]
    await wire.begin_events()
    await wire.event({"method": "notifications/progress", "params": {"progressToken": id, "progress": 1}})
    await wire.event({"method": "notifications/message", "params": {"data": "hello"}})
    await wire.event({"id": id, "result": {"ok": True}})
    await wire.end_events()


async def test_a_json_answer_is_returned_byte_for_byte() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"result":{ "n": null, "f": 1.0, "u": "\\u00e4" }}'

    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(200, body, content_type="application/json; charset=utf-8")

    async with scripted(script) as server, http(server.url) as upstream:
        assert bytes(await upstream.call("tools/list", {})) == b'{ "n": null, "f": 1.0, "u": "\\u00e4" }'


async def test_calls_one_after_the_other_share_a_connection() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        for _ in range(5):
            await upstream.call("tools/call", {})
        assert server.connections == 1


async def test_a_connection_is_used_again_after_an_event_stream() -> None:
    async with scripted(streaming) as server, http(server.url) as upstream:
        for _ in range(3):
            await upstream.call("tools/call", {})
        assert server.connections == 1


async def test_events_before_the_answer_reach_the_sink_in_order() -> None:
    sink = Remembering(token="theirs")
    async with scripted(streaming) as server, http(server.url) as upstream:
        assert await ask(upstream, "tools/call", {}, sink=sink) == {"ok": True}
    assert [method for method, _ in sink.heard] == ["notifications/progress", "notifications/message"]


async def test_progress_is_asked_for_with_our_id_and_the_rest_of_meta_stays() -> None:
    params: RawParams = {"_meta": Raw(b'{"progressToken": "theirs", "vendor/x": 1.0}'), "name": "t"}
    async with scripted(echo) as server, http(server.url) as upstream:
        await upstream.call("tools/call", params, Remembering(token="theirs"))
        assert server.requests[0].json["params"]["_meta"] == {"vendor/x": 1.0, "progressToken": 1}
        assert b'"vendor/x":1.0' in server.requests[0].body


async def test_without_a_token_of_the_caller_none_is_sent() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        await upstream.call("tools/call", {"_meta": Raw(b'{"progressToken": 7}')})
        assert server.requests[0].json["params"]["_meta"] == {}


async def test_outgoing_headers_are_exactly_ours_the_configured_and_the_calls() -> None:
    configured = {"Authorization": "Bearer k", "Content-Type": "text/plain", "Host": "elsewhere", "X-A": "1"}
    async with scripted(echo) as server, http(server.url, headers=configured) as upstream:
        await upstream.call("tools/call", {}, headers={"Mcp-Method": "tools/call", "X-A": "2", "Accept": "*/*"})
        request = server.requests[0]
    assert dict(request.headers) == {
        "host": f"127.0.0.1:{server.port}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "authorization": "Bearer k",
        "x-a": "2",
        "mcp-method": "tools/call",
        "content-length": str(len(request.body)),
    }
    assert len(request.headers) == 8


@pytest.mark.parametrize("value", ["a\r\nx: y", "a\nb", "a\0b", "\u2603"])
async def test_a_header_that_could_break_the_request_is_refused(value: str) -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        with pytest.raises(InvalidParams):
            await upstream.call("tools/call", {}, headers={"X-A": value})
        with pytest.raises(InvalidParams):
            http(server.url, headers={"X-A": value})
        assert server.requests == []


async def test_params_that_json_cannot_carry_are_the_callers_fault() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        with pytest.raises(InvalidParams):
            await upstream.call("tools/call", {"name": "\ud800"})
        assert server.requests == []


async def test_the_users_credentials_of_a_url_become_a_header() -> None:
    async with scripted(echo) as server, http(server.url.replace("//", "//me:p%40ss@")) as upstream:
        await upstream.call("tools/list", {})
        assert server.requests[0].header("authorization") == "Basic bWU6cEBzcw=="


async def test_an_error_answer_is_passed_on_unchanged() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json({"id": request.json["id"], "error": {"code": -1, "message": "no", "data": [1]}})

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(RpcError) as refused:
            await upstream.call("tools/call", {})
    assert refused.value.error == {"code": -1, "message": "no", "data": [1]}


async def test_a_question_on_the_calls_stream_is_answered_by_post() -> None:
    answered = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if request.json.get("method") is None:
            await wire.whole(202, b"")
            answered.set()
            return
        await wire.begin_events()
        await wire.event({"id": "q", "method": "sampling/createMessage", "params": {}})
        await answered.wait()
        await wire.event({"id": request.json["id"], "result": {}})
        await wire.end_events()

    sink = Remembering()
    async with scripted(script) as server, http(server.url) as upstream:
        upstream.negotiated(LEGACY)
        await upstream.call("tools/call", {}, sink)
        assert server.requests[1].json == {"jsonrpc": "2.0", "id": "q", "result": {"model": "mine"}}


async def test_a_modern_upstream_may_not_ask() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        await wire.event({"id": 1, "method": "sampling/createMessage", "params": {}})
        await wire.event({"id": request.json["id"], "result": {}})
        await wire.end_events()

    sink = Remembering()
    async with scripted(script) as server, http(server.url) as upstream:
        upstream.negotiated(MODERN)
        await upstream.call("tools/call", {}, sink)
        assert (sink.questions, len(server.requests)) == ([], 1)
        assert upstream.faults == {"forbidden_question": 1}


async def test_a_flood_of_questions_is_refused_beyond_the_cap() -> None:
    refused: list[Any] = []
    enough = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if "method" not in request.json:
            refused.append(request.json)
            if len(refused) == 8:
                enough.set()
            await wire.whole(202, b"")
            return
        await wire.begin_events()
        for number in range(40):
            await wire.event({"id": f"q{number}", "method": "sampling/createMessage", "params": {}})
        await enough.wait()
        await wire.event({"id": request.json["id"], "result": {}})
        await wire.end_events()

    sink = Remembering(reply=wait_forever)
    async with scripted(script) as server, http(server.url) as upstream:
        with anyio.fail_after(5):
            await upstream.call("tools/call", {}, sink)
    assert len(sink.questions) == 32
    assert all("error" in reply for reply in refused[:8])


async def cancelled_call(revision: str) -> tuple[list[Any], bool]:
    """What reaches the upstream when a waiting call is cancelled: messages, and whether its stream was closed."""
    asked = anyio.Event()
    told = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if request.json["method"] == "notifications/cancelled":
            await wire.whole(202, b"")
            told.set()
            return
        await wire.begin_events()
        asked.set()
        await anyio.sleep_forever()

    async with scripted(script) as server, http(server.url) as upstream, anyio.create_task_group() as tasks:
        upstream.negotiated(revision)
        tasks.start_soon(upstream.call, "tools/call", {})
        with anyio.fail_after(5):
            await asked.wait()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await server.gone.wait()
                if revision == LEGACY:
                    await told.wait()
    return [request.json for request in server.requests[1:]], server.gone.is_set()


async def test_cancelling_a_legacy_call_tells_the_upstream_and_closes_the_stream() -> None:
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}
    assert await cancelled_call(LEGACY) == ([cancelled], True)


async def test_cancelling_a_modern_call_only_closes_the_stream() -> None:
    assert await cancelled_call(MODERN) == ([], True)


async def test_cancelling_one_call_leaves_the_others_alone() -> None:
    both = anyio.Event()
    hold = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if request.json["method"] == "notifications/cancelled":
            await wire.whole(202, b"")
            return
        if len(server.calls("tools/call")) == 2:
            both.set()
        await hold.wait()
        await wire.result(request, {"id": request.json["id"]})

    results: list[Any] = []

    async def keep(scope: anyio.CancelScope) -> None:
        with scope:
            results.append(await ask(upstream, "tools/call", {}))

    async with scripted(script) as server, http(server.url) as upstream:
        first, second = anyio.CancelScope(), anyio.CancelScope()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(keep, first)
                tasks.start_soon(keep, second)
                await both.wait()
                first.cancel()
                hold.set()
    assert len(results) == 1


async def test_a_call_after_leaving_fails_and_closed_is_set() -> None:
    async with scripted(echo) as server:
        async with http(server.url) as upstream:
            assert not upstream.closed.is_set()
        assert upstream.closed.is_set()
        assert upstream.failure is None
        with pytest.raises(UpstreamDisconnected):
            await upstream.call("tools/call", {})


async def test_leaving_fails_the_calls_under_way_quickly() -> None:
    asked = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        asked.set()
        await anyio.sleep_forever()

    failures: list[str] = []

    async def wait(upstream: Any) -> None:
        with pytest.raises(UpstreamDisconnected) as failed:
            await upstream.call("tools/call", {})
        failures.append(failed.value.message)

    async with scripted(script) as server, anyio.create_task_group() as tasks:
        async with http(server.url) as upstream:
            tasks.start_soon(wait, upstream)
            await asked.wait()
            began_s = anyio.current_time()
        assert anyio.current_time() - began_s < 1.5
    assert len(failures) == 1


async def test_the_answer_may_repeat_our_id_as_text() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json({"id": str(request.json["id"]), "result": {"ok": 1}})

    async with scripted(script) as server, http(server.url) as upstream:
        assert loads(await upstream.call("tools/call", {})) == {"ok": 1}


async def test_a_handshake_needs_no_more_than_two_posts() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        await handshake(upstream)
        assert [request.json["method"] for request in server.requests if request.verb == "POST"] == [
            "initialize",
            "notifications/initialized",
        ]
