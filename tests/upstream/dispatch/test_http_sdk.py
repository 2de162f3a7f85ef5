"""Streamable HTTP against the SDK's server: both eras, JSON and event streams."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp_gateway.revisions import CLIENT_CAPABILITIES, PROTOCOL_VERSION
from mcp_gateway.upstream.dispatch.http import HttpDispatcher, SessionExpired
from mcp_gateway.wire import Raw, RawParams

from tests.upstream.dispatch.https import LEGACY, MODERN, handshake, http
from tests.upstream.dispatch.pipes import Remembering, ask
from tests.upstream.dispatch.sdk_servers import Probe, mcp_server, serving

pytestmark = pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")


async def call_tool(upstream: HttpDispatcher, name: str, text: str = "", **more: Any) -> Any:
    """Call a tool in the era that was negotiated."""
    params: dict[str, Any] = {"name": name, "arguments": {"text": text}}
    headers = None
    if upstream.revision == MODERN:
        params["_meta"] = {PROTOCOL_VERSION: MODERN, CLIENT_CAPABILITIES: {}}
        headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": name}
    result = await ask(upstream, "tools/call", params, headers=headers, **more)
    return result["content"][0]["text"]


async def ready(upstream: HttpDispatcher, revision: str) -> None:
    if revision == MODERN:
        upstream.negotiated(MODERN)
    else:
        await handshake(upstream, revision)


@pytest.mark.parametrize("json_response", [True, False])
@pytest.mark.parametrize("stateless", [True, False])
@pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18", LEGACY, MODERN])
async def test_a_tool_is_called(revision: str, stateless: bool, json_response: bool) -> None:
    app = mcp_server(Probe()).streamable_http_app(json_response=json_response, stateless_http=stateless)
    async with serving(app) as url, http(f"{url}/mcp") as upstream:
        await ready(upstream, revision)
        assert [await call_tool(upstream, "echo", text) for text in "abc"] == ["a", "b", "c"]


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_progress_comes_before_the_answer(revision: str) -> None:
    sink = Remembering(token="theirs")
    async with serving(mcp_server(Probe()).streamable_http_app()) as url, http(f"{url}/mcp") as upstream:
        await ready(upstream, revision)
        await call_tool(upstream, "talk", sink=sink)
    assert sink.heard[0][0] == "notifications/progress"
    assert sink.heard[0][1]["message"] == "half"
    if revision == LEGACY:
        assert sink.heard[1][0] == "notifications/message"


async def test_a_sampling_question_makes_the_round_trip() -> None:
    async def answer(method: str, params: RawParams) -> Raw:
        return Raw(b'{"role":"assistant","model":"m","content":{"type":"text","text":"42"}}')

    async with serving(mcp_server(Probe()).streamable_http_app()) as url, http(f"{url}/mcp") as upstream:
        await handshake(upstream, sampling={})
        assert await call_tool(upstream, "ask", sink=Remembering(reply=answer)) == "42"


@pytest.mark.parametrize("revision", [LEGACY, MODERN])
async def test_cancelling_reaches_the_tool(revision: str) -> None:
    probe = Probe()
    async with serving(mcp_server(probe).streamable_http_app()) as url, http(f"{url}/mcp") as upstream:
        await ready(upstream, revision)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                # progress is asked for, so that the modern server opens its stream
                tasks.start_soon(lambda: call_tool(upstream, "hang", sink=Remembering(token=1)))
                await probe.hanging.wait()
                tasks.cancel_scope.cancel()
            await probe.cancelled.wait()


async def test_list_changed_arrives_on_the_standing_stream() -> None:
    heard = anyio.Event()

    def listener(method: str, params: RawParams) -> None:
        if method == "notifications/tools/list_changed":
            heard.set()

    app = mcp_server(Probe()).streamable_http_app()
    async with serving(app) as url, http(f"{url}/mcp", listener=listener) as upstream:
        await handshake(upstream)
        with anyio.fail_after(5):
            while not heard.is_set():  # what is announced before the stream stands is lost
                await call_tool(upstream, "announce")


async def test_a_session_that_the_server_forgot_is_told_apart() -> None:
    app = mcp_server(Probe()).streamable_http_app(session_idle_timeout=0.05)
    async with serving(app) as url, http(f"{url}/mcp") as upstream:
        await handshake(upstream, "2024-11-05")  # no standing stream, which would keep the session alive
        await anyio.sleep(0.5)  # the server's own idle timeout is the subject
        with pytest.raises(SessionExpired):
            await call_tool(upstream, "echo")
