"""What clients hear without a call: changed lists, updated resources."""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.client.subscriptions import ToolsListChanged
from mcp.server.subscriptions import ResourceUpdated

from tests.fakes.everything import STATIC
from tests.interaction.asking import subscribe, unsubscribe, until
from tests.interaction.conftest import Connect
from tests.interaction.house import Door, House
from tests.interaction.requirements import shows

LEGACY_DOORS = pytest.mark.parametrize("door", [Door.STDIO_LEGACY, Door.SSE, Door.HTTP_LEGACY], ids=lambda d: d.name)
MODERN_DOORS = pytest.mark.parametrize("door", [Door.STDIO_MODERN, Door.HTTP_MODERN], ids=lambda d: d.name)
QUIET_S = 0.5
"""Longer than announcements are held together: what has not come by then does not come."""


class Ear:
    """A client's message handler: what came, and an event for the first."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.first = anyio.Event()

    async def __call__(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification | types.ResourceUpdatedNotification):
            self.heard.append(message.method)
            self.first.set()

    async def wait(self) -> list[str]:
        """Everything that came until it was quiet."""
        with anyio.fail_after(5):
            await self.first.wait()
        await anyio.sleep(QUIET_S)
        return self.heard


async def settled(home: House) -> None:
    """Past the first announcement, that of the catalog itself."""
    await anyio.sleep(QUIET_S)


@shows("list-changed")
@LEGACY_DOORS
async def test_a_new_tool_is_announced_once_to_every_session(home: House, connect: Connect) -> None:
    mine, theirs = Ear(), Ear()
    await settled(home)
    async with connect(message_handler=mine) as client, home.client(Door.HTTP_LEGACY, message_handler=theirs):
        await opened(home, 2)
        await client.call_tool("up__grow", {})

        assert await mine.wait() == ["notifications/tools/list_changed"]
        assert theirs.heard == ["notifications/tools/list_changed"]
        assert "up__grown_11" in [tool.name for tool in (await client.list_tools(cache_mode="refresh")).tools]


async def opened(home: House, sessions: int) -> None:
    """Until the sessions are open and their streams for announcements too; the SDK's client says nothing of that."""
    await until(lambda: len(home.app.sessions) >= sessions)
    await anyio.sleep(0.2)


@shows("list-changed")
@MODERN_DOORS
async def test_a_new_tool_is_announced_on_a_listen_stream(connect: Connect, home: House) -> None:
    await settled(home)
    async with connect() as client, client.listen(tools_list_changed=True) as events:
        await client.call_tool("up__grow", {})
        with anyio.fail_after(5):
            assert await anext(events) == ToolsListChanged()


@shows("list-unchanged")
async def test_nothing_is_announced_when_the_list_is_read_again_and_is_the_same(home: House) -> None:
    ear = Ear()
    await settled(home)
    async with home.client(Door.STDIO_LEGACY, message_handler=ear) as client:
        await client.call_tool("up__grow", {})
        await ear.wait()
        ear.heard.clear()
        home.app.upstreams.agent("up").reconnect()
        await _ready_again(client)
        await anyio.sleep(2 * QUIET_S)

    assert ear.heard == []


@shows("updates")
@LEGACY_DOORS
async def test_an_update_reaches_the_subscriber_and_nobody_else(home: House, connect: Connect) -> None:
    mine, theirs = Ear(), Ear()
    await settled(home)
    async with connect(message_handler=mine) as client, home.client(Door.HTTP_LEGACY, message_handler=theirs):
        await opened(home, 2)
        await subscribe(client, STATIC)
        await client.call_tool("up__touch", {})

        assert await mine.wait() == ["notifications/resources/updated"]
    assert theirs.heard == []


@shows("updates")
@MODERN_DOORS
async def test_an_update_reaches_a_listen_stream_that_names_it(home: House, connect: Connect) -> None:
    async with connect() as client:
        async with client.listen(resource_subscriptions=[STATIC]) as events:
            await client.call_tool("up__touch", {})
            with anyio.fail_after(5):
                assert await anext(events) == ResourceUpdated(uri=STATIC)
        await gone(home)


async def gone(home: House) -> None:
    await until(lambda: not home.everything.subscribed)


@shows("updates")
async def test_two_subscribers_share_one_subscription_and_the_last_ends_it(home: House) -> None:
    first, second = home.client(Door.HTTP_LEGACY), home.client(Door.STDIO_LEGACY)
    async with first as one, second as other:
        await subscribe(one, STATIC)
        await subscribe(other, STATIC)
        await unsubscribe(one, STATIC)
        assert home.everything.subscribed == {STATIC}
        await unsubscribe(other, STATIC)
        assert home.everything.subscribed == set()


@shows("updates")
@LEGACY_DOORS
async def test_a_session_that_ends_leaves_no_subscription(home: House, connect: Connect) -> None:
    async with connect() as client:
        await subscribe(client, STATIC)
        assert home.everything.subscribed == {STATIC}
    await gone(home)


@shows("list-changed")
async def test_a_listen_stream_outlives_its_upstreams_connection(home: House) -> None:
    await settled(home)
    async with home.client(Door.HTTP_MODERN) as client, client.listen(tools_list_changed=True) as events:
        home.app.upstreams.agent("up").reconnect()
        await _ready_again(client)
        await client.call_tool("up__grow", {})
        with anyio.fail_after(5):
            assert await anext(events) == ToolsListChanged()


async def _ready_again(client: Client) -> None:
    assert not (await client.call_tool("up__echo", {"text": "?"})).is_error


@shows("client-tells")
@LEGACY_DOORS
@pytest.mark.parametrize("method", ["notifications/roots/list_changed", "notifications/vendor/whisper"])
async def test_what_a_client_tells_reaches_the_upstream(home: House, connect: Connect, method: str) -> None:
    async with connect() as client:
        await client.call_tool("up__echo", {})  # its own connection to the upstream exists from now on
        await client.session.send_notification(Told(method=method))  # type: ignore[arg-type]  # also a vendor's
        await until(lambda: method in home.everything.told)


class Told(types.Notification[types.NotificationParams | None, str]):
    """A notification of any method."""

    method: str
    params: types.NotificationParams | None = None
