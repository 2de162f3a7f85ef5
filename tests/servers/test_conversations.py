"""What server-everything says while a call runs, or between calls, reaches the client through the gateway.

A modern client cannot be pushed to, so questions of this server, which is of the
handshake era, are checked for clients of the same era.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.context import ClientRequestContext
from mcp.client.subscriptions import ResourceUpdated

from tests.servers.fleet import EVERYTHING, Meeting
from tests.servers.test_real_servers import text

WAIT_S = 10
"""The server speaks at once; this is only the end of a test that fails."""
RESOURCE = "demo://resource/dynamic/text/1"

pytestmark = pytest.mark.slow

everything = pytest.mark.parametrize("server", EVERYTHING)
in_the_handshake_era = pytest.mark.parametrize("meeting", ["direct-legacy", "gateway-legacy"], indirect=True)
"""For requests that the revision of 2026 has removed."""
of_one_era = pytest.mark.parametrize("meeting", ["direct-legacy", "direct-auto", "gateway-legacy"], indirect=True)
"""For questions that are pushed: whoever is asked through the gateway must be of the handshake era too."""
through_the_gateway = pytest.mark.parametrize("meeting", ["gateway-auto"], indirect=True)
"""For what the server itself, which is of the handshake era, cannot do."""


@asynccontextmanager
async def toggled(client: Client, tool: str) -> AsyncIterator[None]:
    """Switch one of the server's simulations on, and off again: it belongs to the connection, which others share."""
    text(await client.call_tool(tool))
    try:
        yield
    finally:
        text(await client.call_tool(tool))


@everything
async def test_progress_arrives_while_the_call_runs(meeting: Meeting, server: str) -> None:
    heard: list[tuple[float, float | None]] = []

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    async with meeting.client(server) as client:
        name = meeting.name(server, "trigger-long-running-operation")
        await client.call_tool(name, {"duration": 0.4, "steps": 4}, progress_callback=listen)
    # The last step is sent right before the result, and may be overtaken by it.
    assert heard[:3] == [(1, 4), (2, 4), (3, 4)]


@everything
@of_one_era
async def test_an_elicitation_is_answered_by_the_client(meeting: Meeting, server: str) -> None:
    asked: list[str] = []

    async def fill_in(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        asked.append(params.message)
        return types.ElicitResult(action="accept", content={"name": "Ada", "integer": 7})

    async with meeting.client(server, elicitation_callback=fill_in) as client:
        answer = text(await client.call_tool(meeting.name(server, "trigger-elicitation-request")))
    assert asked == ["Please provide inputs for the following fields:"]
    assert "- Name: Ada" in answer


@everything
@of_one_era
async def test_a_declined_elicitation_is_declined_at_the_server(meeting: Meeting, server: str) -> None:
    async def decline(context: ClientRequestContext, params: types.ElicitRequestParams) -> types.ElicitResult:
        return types.ElicitResult(action="decline")

    async with meeting.client(server, elicitation_callback=decline) as client:
        answer = text(await client.call_tool(meeting.name(server, "trigger-elicitation-request")))
    assert "User declined" in answer


@everything
@of_one_era
async def test_a_sampling_request_is_answered_by_the_client(meeting: Meeting, server: str) -> None:
    async def sample(
        context: ClientRequestContext, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        assert params.max_tokens == 20
        said = types.TextContent(type="text", text="a sampled sentence")
        return types.CreateMessageResult(role="assistant", content=said, model="test-model")

    async with meeting.client(server, sampling_callback=sample) as client:
        name = meeting.name(server, "trigger-sampling-request")
        answer = text(await client.call_tool(name, {"prompt": "say something", "maxTokens": 20}))
    assert "a sampled sentence" in answer


@everything
@in_the_handshake_era
async def test_log_messages_arrive_at_the_level_that_was_set(meeting: Meeting, server: str) -> None:
    said = anyio.Event()

    async def listen(params: types.LoggingMessageNotificationParams) -> None:
        if "-level" in str(params.data) or "level-message" in str(params.data):
            said.set()

    async with meeting.client(server, logging_callback=listen) as client:
        level = types.SetLevelRequest(params=types.SetLevelRequestParams(level="debug"))
        await client.session.send_request(level, types.EmptyResult)
        async with toggled(client, meeting.name(server, "toggle-simulated-logging")):
            with anyio.fail_after(WAIT_S):
                await said.wait()


@everything
@in_the_handshake_era
async def test_an_update_of_a_subscribed_resource_arrives(meeting: Meeting, server: str) -> None:
    uri = meeting.uri(server, RESOURCE)
    updated = anyio.Event()

    async def listen(message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification) and str(message.params.uri) == uri:
            updated.set()

    async with meeting.client(server, message_handler=listen) as client:
        subscribe = types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
        await client.session.send_request(subscribe, types.EmptyResult)
        async with toggled(client, meeting.name(server, "toggle-subscriber-updates")):
            with anyio.fail_after(WAIT_S):
                await updated.wait()
        unsubscribe = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
        await client.session.send_request(unsubscribe, types.EmptyResult)


@everything
@through_the_gateway
async def test_a_modern_client_listens_for_the_same_update(meeting: Meeting, server: str) -> None:
    uri = meeting.uri(server, RESOURCE)
    toggle = meeting.name(server, "toggle-subscriber-updates")
    async with (
        meeting.client(server) as client,
        client.listen(resource_subscriptions=[uri]) as events,
        toggled(client, toggle),
    ):
        with anyio.fail_after(WAIT_S):
            assert await anext(events) == ResourceUpdated(uri=uri)
