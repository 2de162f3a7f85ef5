"""The listen of a modern upstream, and modern answers that are not what they should be."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from mcp_gateway.upstream.lifecycle import State

from tests.fakes.http_server import Request, Wire, scripted
from tests.upstream.keeping import PATIENT, WAIT_S, defined, http, kept

ACKNOWLEDGED = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {}}
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {}}


class Modern:
    """A modern HTTP server; `listen` writes one listen stream."""

    def __init__(self, listen: Any = None, *, tools: Any = None, versions: Any = ("2026-07-28",)) -> None:
        self.listen = listen
        self.tools = [] if tools is None else tools
        self.versions = versions

    async def __call__(self, request: Request, wire: Wire) -> None:
        match request.json["method"]:
            case "server/discover":
                found = {"supportedVersions": self.versions, "capabilities": {"tools": {"listChanged": True}}}
                await wire.result(request, found)
            case "subscriptions/listen" if self.listen is not None:
                await wire.begin_events()
                await self.listen(wire)
            case "tools/list":
                await wire.result(request, {"tools": self.tools})
            case _:
                error = {"code": -32601, "message": "Method not found"}
                await wire.json({"jsonrpc": "2.0", "id": request.json["id"], "error": error}, 404)


async def test_changes_are_listened_for_before_the_lists_are_read() -> None:
    async def listen(wire: Wire) -> None:
        await wire.event(ACKNOWLEDGED)
        await anyio.sleep_forever()

    async with scripted(Modern(listen)) as server, kept(defined(http(server.url), transport="http")) as up:
        await up.ready()
        methods = [request.json["method"] for request in server.requests]
        assert methods == ["server/discover", "subscriptions/listen", "tools/list"]
        assert server.calls("subscriptions/listen")[0].json["params"]["notifications"] == {"toolsListChanged": True}


async def test_a_change_heard_on_the_listen_is_read() -> None:
    async def listen(wire: Wire) -> None:
        await wire.event(ACKNOWLEDGED)
        await wire.event(CHANGED)
        await anyio.sleep_forever()

    async with scripted(Modern(listen)) as server, kept(defined(http(server.url), transport="http")) as up:
        await up.until(lambda: len(up.readings) == 2)
        assert len(server.calls("subscriptions/listen")) == 1


async def test_a_listen_that_ends_is_opened_again_and_what_may_have_been_missed_is_read() -> None:
    async def listen(wire: Wire) -> None:
        await wire.event(ACKNOWLEDGED)
        await wire.end_events()

    async with scripted(Modern(listen)) as server, kept(defined(http(server.url), transport="http")) as up:
        await up.until(lambda: len(up.readings) == 2)
        assert len(server.calls("subscriptions/listen")) == 2


async def test_a_server_that_does_not_know_listen_is_asked_once() -> None:
    async with scripted(Modern()) as server, kept(defined(http(server.url), transport="http")) as up:
        await up.ready()
        with anyio.move_on_after(1.5):
            await server.until(lambda: len(server.calls("subscriptions/listen")) > 1)
        assert len(server.calls("subscriptions/listen")) == 1


async def test_a_listen_that_is_never_acknowledged_holds_nothing_up_for_long() -> None:
    async def listen(wire: Wire) -> None:
        await anyio.sleep_forever()

    async with scripted(Modern(listen)) as server, kept(defined(http(server.url), transport="http")) as up:
        await up.ready(WAIT_S)


async def test_an_answer_that_is_no_list_is_not_taken_for_an_empty_one() -> None:
    async with (
        scripted(Modern(tools=3)) as server,
        kept(defined(http(server.url), transport="http", restart=PATIENT)) as up,
    ):
        await up.state(State.PARKED)
        assert up.readings == []
        assert up.reasons[-1] == "upstream 'up' answered a list request without tools"


@pytest.mark.parametrize("versions", [[], ["2099-01-01"], "2026-07-28x", None], ids=str)
async def test_a_server_without_a_common_revision_is_tried_as_legacy_and_then_refused(versions: Any) -> None:
    async with (
        scripted(Modern(versions=versions)) as server,
        kept(defined(http(server.url), transport="http", restart=PATIENT)) as up,
    ):
        await up.state(State.PARKED)
        assert up.reasons[-1] == "upstream 'up' refused the handshake: Method not found"
        assert [request.json["method"] for request in server.requests] == ["server/discover", "initialize"]
