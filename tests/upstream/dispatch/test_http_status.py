"""HTTP statuses of an upstream: which error each becomes, and what it carries. Redirects."""

from __future__ import annotations

import json

import pytest
from mcp_gateway.errors import (
    GatewayError,
    RpcError,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamProtocolError,
    UpstreamUnavailable,
)
from mcp_gateway.upstream.dispatch.http import SessionExpired
from mcp_gateway.upstream.dispatch.status import retry_after_s

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.dispatch.https import echo, handshake, http, polite
from tests.upstream.dispatch.pipes import ask


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, UpstreamProtocolError),
        (401, UpstreamAuth),
        (403, UpstreamAuth),
        (404, UpstreamProtocolError),
        (405, UpstreamProtocolError),
        (418, UpstreamProtocolError),
        (429, UpstreamBusy),
        (500, UpstreamUnavailable),
        (502, UpstreamUnavailable),
        (503, UpstreamUnavailable),
    ],
)
async def test_a_status_becomes_its_error_and_is_kept(status: int, expected: type[GatewayError]) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(status, b"<html>Bad</html>", content_type="text/html")

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(expected) as failed:
            await upstream.call("tools/call", {})
        assert failed.value.status == status
        assert type(failed.value) is expected
        assert str(status) in failed.value.message
        assert len(server.requests) == 1


async def test_the_challenge_of_a_refusal_is_kept() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(401, b"", www_authenticate='Bearer resource_metadata="https://as/x"')

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(UpstreamAuth) as failed:
            await upstream.call("tools/call", {})
    assert failed.value.challenge == 'Bearer resource_metadata="https://as/x"'
    assert "write `auth: oauth` in its entry, then run: mcp-gateway login fake" in failed.value.message


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("header", "after_s"), [("7", 7.0), ("3600", 60.0), ("soon", None), ("-5", 0.0)])
async def test_retry_after_is_kept_and_capped(status: int, header: str, after_s: float | None) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(status, b"", retry_after=header)

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises((UpstreamBusy, UpstreamUnavailable)) as failed:
            await upstream.call("tools/call", {})
    assert failed.value.retry_after_s == after_s


@pytest.mark.parametrize(
    ("value", "after_s"),
    [("Thu, 01 Jan 1970 00:00:50 GMT", 40.0), ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0), ("nan", None), ("", None)],
)
def test_retry_after_may_be_a_date(value: str, after_s: float | None) -> None:
    assert retry_after_s(value, now_s=10.0) == after_s


@pytest.mark.parametrize("status", [400, 404, 405, 500])
@pytest.mark.parametrize("id", ["ours", "null"])
async def test_a_json_rpc_error_for_our_request_is_passed_on(status: int, id: str) -> None:
    error = {"code": -32022, "message": "unsupported", "data": {"supported": ["2026-07-28"]}}

    async def script(request: Request, wire: Wire) -> None:
        await wire.json({"id": request.json["id"] if id == "ours" else None, "error": error}, status)

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(RpcError) as failed:
            await upstream.call("server/discover", {})
    assert (json.loads(failed.value.raw), failed.value.status) == (error, status)


async def test_a_json_rpc_error_for_another_request_is_not_passed_on() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.json({"id": "server-error", "error": {"code": -1, "message": "x"}}, 400)

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(UpstreamProtocolError) as failed:
            await upstream.call("tools/call", {})
    assert failed.value.status == 400


async def test_404_within_a_session_says_that_nothing_was_executed() -> None:
    async def script(request: Request, wire: Wire) -> None:
        if not await polite(request, wire):
            await wire.json({"id": request.json["id"], "error": {"code": -32600, "message": "terminated"}}, 404)

    async with scripted(script) as server, http(server.url) as upstream:
        await handshake(upstream)
        with pytest.raises(SessionExpired) as failed:
            await upstream.call("tools/call", {})
    assert failed.value.status == 404


async def test_a_new_session_may_be_opened_on_the_same_dispatcher() -> None:
    sessions = iter(["first", "second"])

    async def script(request: Request, wire: Wire) -> None:
        if request.body and request.json["method"] == "initialize":
            await polite(request, wire, next(sessions))
        elif request.header("mcp-session-id") == "first" and request.body and request.json["method"] == "tools/call":
            await wire.whole(404, b"")
        else:
            await echo(request, wire)

    async with scripted(script) as server, http(server.url) as upstream:
        await handshake(upstream)
        with pytest.raises(SessionExpired):
            await upstream.call("tools/call", {})
        await handshake(upstream)
        assert await ask(upstream, "tools/call", {}) == {"echo": {}}
        second = server.calls("initialize")[1]
        assert (second.header("mcp-session-id"), second.header("mcp-protocol-version")) == (None, None)


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_within_the_origin_is_followed_with_the_same_request(status: int) -> None:
    async def script(request: Request, wire: Wire) -> None:
        if request.target == "/mcp":
            await wire.whole(status, b"", location="/mcp/?x=1")
        else:
            await echo(request, wire)

    async with scripted(script) as server, http(server.url, headers={"x-key": "k"}) as upstream:
        assert await ask(upstream, "tools/call", {"n": 1}) == {"echo": {"n": 1}}
        assert [request.target for request in server.requests] == ["/mcp", "/mcp/?x=1"]
        assert server.requests[1].header("x-key") == "k"


async def test_r_ssrf_1_a_second_redirect_is_not_followed() -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(307, b"", location="/mcp")

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(UpstreamProtocolError):
            await upstream.call("tools/call", {})
        assert len(server.requests) == 2


async def test_r_ssrf_1_a_redirect_to_another_origin_gets_nothing() -> None:
    async with scripted(echo) as canary:

        async def script(request: Request, wire: Wire) -> None:
            await wire.whole(307, b"", location=canary.url)

        async with scripted(script) as server, http(server.url, headers={"x-key": "k"}) as upstream:
            with pytest.raises(UpstreamProtocolError, match="another origin"):
                await upstream.call("tools/call", {})
        assert canary.connections == 0


@pytest.mark.parametrize(("status", "location"), [(301, "/x"), (302, "/x"), (303, "/x"), (307, ""), (308, "ftp://x/")])
async def test_any_other_redirect_is_not_the_protocol(status: int, location: str) -> None:
    async def script(request: Request, wire: Wire) -> None:
        await wire.whole(status, b"", location=location)

    async with scripted(script) as server, http(server.url) as upstream:
        with pytest.raises(UpstreamProtocolError):
            await upstream.call("tools/call", {})
