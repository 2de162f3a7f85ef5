"""Sessions over Streamable HTTP: headers, the standing stream, resuming, leaving."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from mcp_gateway.errors import UpstreamDisconnected, UpstreamProtocolError
from mcp_gateway.wire import RawParams

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.https import LEGACY, MODERN, echo, handshake, http, polite
from tests.upstream.dispatch.pipes import Remembering, ask


class Heard:
    """A listener that can be waited for."""

    def __init__(self) -> None:
        self.methods: list[str] = []
        self.event = anyio.Event()

    def __call__(self, method: str, params: RawParams) -> None:
        self.methods.append(method)
        self.event.set()


async def test_the_session_and_the_revision_are_sent_from_then_on() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        await handshake(upstream)
        await upstream.call("tools/call", {})
        posts = [request for request in server.requests if request.verb == "POST"]
    sent = [(request.header("mcp-session-id"), request.header("mcp-protocol-version")) for request in posts]
    assert sent == [(None, None), ("s-1", LEGACY), ("s-1", LEGACY)]


async def test_the_oldest_revision_over_http_knows_no_version_header() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        await handshake(upstream, "2025-03-26")
        assert server.calls("notifications/initialized")[0].header("mcp-protocol-version") is None


async def test_a_calls_own_version_header_takes_the_place_of_ours() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        upstream.negotiated(MODERN)
        await upstream.call("tools/list", {})
        await upstream.call("tools/list", {}, headers={"MCP-Protocol-Version": "2027-01-01"})
        sent = [[value for name, value in request.headers if "version" in name] for request in server.requests]
    assert sent == [[MODERN], ["2027-01-01"]]


@pytest.mark.parametrize("session", ["", "a b", "\xe9", "x" * 1025])
async def test_a_session_id_that_no_header_can_carry_is_refused(session: str) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.result(request, {}, mcp_session_id=session)

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(UpstreamProtocolError, match="session id"):
            await upstream.call("initialize", {})


async def test_only_initialize_begins_a_session() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.result(request, {}, mcp_session_id="unasked")

    async with scripted(script) as server, http(server.url) as upstream:
        await upstream.call("tools/list", {})
        await upstream.call("tools/list", {})
        assert server.requests[1].header("mcp-session-id") is None


async def test_leaving_ends_the_session() -> None:
    async with scripted(echo) as server:
        async with http(server.url) as upstream:
            await handshake(upstream)
        last = server.requests[-1]
    assert (last.verb, last.header("mcp-session-id")) == ("DELETE", "s-1")


async def test_leaving_does_not_wait_for_an_upstream_that_ignores_it() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "DELETE":
            await anyio.sleep_forever()
        await polite(request, wire)

    async with scripted(script) as server:
        async with http(server.url) as upstream:
            await handshake(upstream)
            began_s = anyio.current_time()
        assert anyio.current_time() - began_s < 1.5


async def test_the_standing_stream_is_opened_and_heard_by_the_listener() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "GET":
            await wire.begin_events()
            await wire.chunk(b"data: not JSON\n\n")
            await wire.event({"id": 1, "result": {}})
            await wire.event({"method": "notifications/tools/list_changed"})
            await anyio.sleep_forever()
        await polite(request, wire)

    heard = Heard()
    async with scripted(script) as server, http(server.url, listener=heard) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            await heard.event.wait()
        (get,) = (request for request in server.requests if request.verb == "GET")
        assert upstream.faults == {"bad_event": 1, "late_answer": 1}
    assert heard.methods == ["notifications/tools/list_changed"]
    assert (get.header("accept"), get.header("mcp-session-id"), get.header("mcp-protocol-version")) == (
        "text/event-stream",
        "s-1",
        LEGACY,
    )


@pytest.mark.parametrize("revision", [MODERN, "2024-11-05"])
async def test_revisions_without_a_standing_stream_are_not_asked_for_one(revision: str) -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        await handshake(upstream, revision)
        await upstream.call("tools/list", {})
        assert [request.verb for request in server.requests] == ["POST"] * 3


async def test_an_upstream_without_a_standing_stream_is_asked_once() -> None:
    async with scripted(echo) as server, http(server.url) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            await server.until(lambda: any(request.verb == "GET" for request in server.requests))
        await upstream.call("tools/list", {})
        assert [request.verb for request in server.requests].count("GET") == 1


async def test_the_standing_stream_resumes_after_the_last_event() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "GET":
            await wire.begin_events()
            await wire.chunk(b"retry: 1\nid: e%d\ndata:\n\n" % len(server.requests))
            await wire.end_events()
        else:
            await polite(request, wire)

    def gets() -> list[Request]:
        return [request for request in server.requests if request.verb == "GET"]

    async with scripted(script) as server, http(server.url) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            await server.until(lambda: len(gets()) == 2)
        assert [request.header("last-event-id") for request in gets()] == [None, "e3"]


async def standing_question(upstream_calls: list[Remembering]) -> dict[str, Any]:
    """What an upstream hears that asks on its standing stream while these sinks' calls are under way."""
    reply: dict[str, Any] = {}
    replied = anyio.Event()
    all_calling = anyio.Event()

    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "GET":
            await wire.begin_events()
            await all_calling.wait()
            await wire.event({"id": "q", "method": "elicitation/create", "params": {}})
            await anyio.sleep_forever()
        if request.body and "method" not in request.json:
            reply.update(request.json)
            replied.set()
        if not await polite(request, wire):
            if len(server.calls("tools/call")) == len(upstream_calls):
                all_calling.set()
            await replied.wait()
            await wire.result(request, {})

    async with scripted(script) as server, http(server.url) as upstream:
        await handshake(upstream)
        if not upstream_calls:
            all_calling.set()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for sink in upstream_calls:
                    tasks.start_soon(upstream.call, "tools/call", {}, sink)
            await replied.wait()
    return reply


async def test_a_standing_question_goes_to_the_one_client_with_calls_under_way() -> None:
    reply = await standing_question([Remembering("a"), Remembering("a")])
    assert reply == {"jsonrpc": "2.0", "id": "q", "result": {"model": "mine"}}


@pytest.mark.parametrize("owners", [["a", "b"], []])
async def test_a_standing_question_is_declined_when_whose_it_is_would_be_a_guess(owners: list[str]) -> None:
    reply = await standing_question([Remembering(owner) for owner in owners])
    assert "isolation: session" in reply["error"]["message"]


async def test_progress_on_the_standing_stream_reaches_its_call() -> None:
    called, progressed = anyio.Event(), anyio.Event()

    class Sink(Remembering):
        def notify(self, method: str, params: RawParams) -> None:
            super().notify(method, params)
            progressed.set()

    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "GET":
            await wire.begin_events()
            await called.wait()
            await wire.event({"method": "notifications/progress", "params": {"progressToken": 2, "progress": 1}})
            await anyio.sleep_forever()
        if not await polite(request, wire):
            called.set()
            await progressed.wait()
            await wire.result(request, {})

    sink = Sink(token="t")
    async with scripted(script) as server, http(server.url) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            await upstream.call("tools/call", {}, sink)
    assert sink.heard == [("notifications/progress", {"progressToken": 2, "progress": 1})]


def polling(rest: list[bytes]) -> Any:
    """An upstream that closes a call's stream after a priming event and goes on over GET, one piece at a time."""
    pieces = iter(rest)

    async def script(request: Request, wire: Wire) -> None:
        if request.verb == "GET" and request.header("last-event-id") is not None:
            await wire.begin_events()
            await wire.chunk(next(pieces))
            await wire.end_events()
        elif not await polite(request, wire):
            await wire.begin_events()
            await wire.chunk(b"retry: 1\nid: p0\ndata:\n\n")
            await wire.end_events()

    return script


async def test_a_stream_that_closes_early_with_an_event_id_is_resumed() -> None:
    notice = b'id: p1\ndata: {"method": "notifications/message", "params": {}}\n\n'
    answer = b'id: p2\ndata: {"id": 2, "result": {"ok": 1}}\n\n'
    sink = Remembering()
    async with scripted(polling([notice, answer])) as server, http(server.url) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            assert await ask(upstream, "tools/call", {}, sink=sink) == {"ok": 1}
        resumed = [request.header("last-event-id") for request in server.requests if request.verb == "GET"]
        assert [id for id in resumed if id] == ["p0", "p1"]
        assert len(server.calls("tools/call")) == 1
    assert [method for method, _ in sink.heard] == ["notifications/message"]


async def test_a_modern_stream_is_never_resumed() -> None:
    async with scripted(polling([])) as server, http(server.url) as upstream:
        upstream.negotiated(MODERN)
        with pytest.raises(UpstreamDisconnected):
            await upstream.call("tools/call", {})
        assert len(server.requests) == 1


async def test_a_stream_that_resumes_without_anything_new_is_given_up() -> None:
    async with scripted(polling([b": nothing\n\n"] * 9)) as server, http(server.url) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5), pytest.raises(UpstreamDisconnected, match="before the answer"):
            await upstream.call("tools/call", {})


async def test_an_upstream_that_refuses_to_resume_does_not_pass_for_an_expired_session() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.header("last-event-id"):
            await wire.whole(404, b"")
        elif not await polite(request, wire):
            await wire.begin_events()
            await wire.chunk(b"retry: 1\nid: p0\ndata:\n\n")
            wire.reset()

    async with scripted(script) as server, http(server.url) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5), pytest.raises(UpstreamDisconnected) as failed:
            await upstream.call("tools/call", {})
    assert type(failed.value) is UpstreamDisconnected


async def test_change_notices_on_a_legacy_call_are_for_the_listener() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.begin_events()
        await wire.event({"method": "notifications/tools/list_changed"})
        await wire.event({"id": request.json["id"], "result": {}})
        await wire.end_events()

    heard, sink = Heard(), Remembering()
    async with scripted(script) as server, http(server.url, listener=heard) as upstream:
        upstream.negotiated(LEGACY)
        await upstream.call("tools/call", {}, sink)
        upstream.negotiated(MODERN)
        await upstream.call("subscriptions/listen", {}, sink)
    assert (heard.methods, len(sink.heard)) == (["notifications/tools/list_changed"], 1)


async def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with scripted(echo) as server, http(server.url, headers={"authorization": "Bearer canary"}) as upstream:
        await handshake(upstream)
        await upstream.call("tools/call", {"arguments": "canary"})
    assert "canary" not in caplog.text
