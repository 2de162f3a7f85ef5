"""What open sessions are told, and that none of them can hold up the rest."""

from __future__ import annotations

from typing import Any, cast

import anyio
from mcp_gateway.call import Client
from mcp_gateway.downstream.sessions import QUEUE, UNTAKEN, Sessions
from mcp_gateway.events import CatalogChanged, Event, LogMessage, ResourceUpdated
from mcp_gateway.revisions import LATEST_LEGACY
from mcp_gateway.wire import Raw


class Wishes:
    def subscribers(self, server: str, uri: str) -> tuple[str, frozenset[str]]:
        return f"seen:{uri}", frozenset({"a"})

    def log_level(self, client: Client) -> str | None:
        return "warning"

    def sees(self, client: Client, server: str) -> bool:
        return server != "hidden"


class Line:
    """A connection of the SDK; takes nothing while its gate is shut."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.gate = anyio.Event()
        self.gate.set()

    async def notify(self, method: str, params: Any) -> None:
        await self.gate.wait()
        self.told.append((method, params))


async def told(*events: Event, keys: str = "ab", gone: str = "") -> dict[str, list[tuple[str, Any]]]:
    """What each of the sessions hears of these events."""
    sessions, lines = Sessions(Wishes()), {key: Line() for key in keys}
    for key, line in lines.items():
        sessions.enter(Client(key, revision=LATEST_LEGACY, session=key), cast(Any, line))
    for key in gone:
        sessions.leave(Client(key))
    async with anyio.create_task_group() as group:
        group.start_soon(sessions.run)
        for event in events:
            sessions.hear(event)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    return {key: line.told for key, line in lines.items()}


async def test_a_change_is_told_once_per_kind_to_everybody() -> None:
    heard = await told(CatalogChanged(frozenset({"tools", "prompts"})))

    expected = [("notifications/prompts/list_changed", None), ("notifications/tools/list_changed", None)]
    assert heard == {"a": expected, "b": expected}


async def test_who_has_left_is_told_nothing() -> None:
    heard = await told(CatalogChanged(frozenset({"tools"})), gone="b")

    assert heard["b"] == []


async def test_an_update_goes_to_subscribers_under_the_uri_they_know() -> None:
    heard = await told(ResourceUpdated("up", "x:y"))

    assert heard == {"a": [("notifications/resources/updated", {"uri": "seen:x:y"})], "b": []}


def log(level: str, data: bytes = b'"text"', session: str | None = None) -> LogMessage:
    return LogMessage("up", {"level": Raw(f'"{level}"'.encode()), "data": Raw(data)}, session)


async def test_a_log_message_of_no_call_goes_to_the_only_session_from_its_level_on() -> None:
    heard = await told(log("info"), log("error"), keys="a")

    assert heard == {"a": [("notifications/message", {"level": "error", "data": "text"})]}


async def test_a_log_message_of_no_call_goes_to_nobody_when_it_could_be_anybodys() -> None:
    assert await told(log("error")) == {"a": [], "b": []}


async def test_a_log_message_over_a_sessions_own_connection_goes_to_that_session() -> None:
    heard = await told(log("error", session="b"), log("error", session="gone"))

    assert heard == {"a": [], "b": [("notifications/message", {"level": "error", "data": "text"})]}


async def test_a_log_message_of_a_server_that_the_session_may_not_use_goes_to_nobody() -> None:
    hidden = LogMessage("hidden", {"level": Raw(b'"error"'), "data": Raw(b'"text"')})

    assert await told(hidden, keys="a") == {"a": []}


async def test_a_log_message_that_cannot_be_read_ends_nothing() -> None:
    heard = await told(log("error", b"1e999"), CatalogChanged(frozenset({"tools"})), keys="a")

    assert heard == {"a": [("notifications/tools/list_changed", None)]}


async def test_a_session_that_does_not_read_is_bounded_and_holds_up_nobody() -> None:
    sessions, deaf, other = Sessions(Wishes()), Line(), Line()
    deaf.gate = anyio.Event()
    sessions.enter(Client("a"), cast(Any, deaf))
    sessions.enter(Client("b"), cast(Any, other))
    async with anyio.create_task_group() as group:
        group.start_soon(sessions.run)
        for _ in range(UNTAKEN + 20):
            sessions.hear(CatalogChanged(frozenset({"tools"})))
        await anyio.wait_all_tasks_blocked()
        assert len(other.told) == UNTAKEN + 20
        deaf.gate.set()
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()

    assert len(deaf.told) == UNTAKEN


async def test_a_storm_of_events_is_dropped_and_does_not_raise() -> None:
    storm = [ResourceUpdated("up", "x:y")] * (QUEUE + 1)

    assert len((await told(*storm))["a"]) == QUEUE
