"""Subscriptions that clients share: one opening for all who wait, none left behind, whatever happens meanwhile."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError
from mcp_gateway.call import Call, Client
from mcp_gateway.errors import RpcError
from mcp_gateway.revisions import LATEST_LEGACY

from tests.fakes.everything import STATIC, Everything
from tests.interaction.asking import until
from tests.interaction.house import House, house

NOBODY: tuple[str, frozenset[str]] = (STATIC, frozenset())


class Gated(Everything):
    """Answers a subscription once the gate is open, or refuses it then."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = anyio.Event()
        self.refuses = False
        self.asked = 0
        self.given_up = 0

    async def subscribe(self, ctx: Any, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.asked += 1
        await self.gate.wait()
        if self.refuses:
            raise MCPError(-32050, "not today")
        return await super().subscribe(ctx, params)

    async def unsubscribe(self, ctx: Any, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.given_up += 1
        return await super().unsubscribe(ctx, params)


@pytest.fixture
async def far() -> Gated:
    return Gated()


@pytest.fixture
async def home(tmp_path: Path, far: Gated) -> AsyncIterator[House]:
    """A gateway whose clients have used the upstream before: their connection is there."""
    async with house(tmp_path, everything=far) as running:
        await running.app.gateway.route(Call("tools/call", {"name": "up__echo"}, client("x")))
        yield running


def client(key: str) -> Client:
    return Client(key, revision=LATEST_LEGACY, session=key)


class Subscriber:
    """A client on its way to a subscription; `outcome` is what became of it."""

    def __init__(self, home: House, key: str) -> None:
        self.client = client(key)
        self.scope = anyio.CancelScope()
        self.outcome = "waits"
        self._gateway = home.app.gateway

    async def run(self) -> None:
        with self.scope:
            try:
                await self._gateway.route(Call("resources/subscribe", {"uri": STATIC}, self.client))
                self.outcome = "subscribed"
            except RpcError as refused:
                self.outcome = refused.error["message"]


async def test_everybody_waits_for_the_one_opening(home: House, far: Gated) -> None:
    first, second = Subscriber(home, "a"), Subscriber(home, "b")
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await until(lambda: far.asked)
        group.start_soon(second.run)
        await anyio.wait_all_tasks_blocked()
        assert (first.outcome, second.outcome) == ("waits", "waits")
        far.gate.set()

    assert (first.outcome, second.outcome, far.asked) == ("subscribed", "subscribed", 1)
    assert home.app.gateway.subscribers("up", STATIC) == (STATIC, frozenset("ab"))


async def test_a_refusal_reaches_everybody_who_waited(home: House, far: Gated) -> None:
    first, second = Subscriber(home, "a"), Subscriber(home, "b")
    far.refuses = True
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await until(lambda: far.asked)
        group.start_soon(second.run)
        await anyio.wait_all_tasks_blocked()
        far.gate.set()

    assert (first.outcome, second.outcome, far.asked) == ("not today", "not today", 1)
    assert home.app.gateway.subscribers("up", STATIC) == NOBODY
    assert far.given_up == 0


async def test_a_subscriber_that_gives_up_disturbs_nobody(home: House, far: Gated) -> None:
    first, second = Subscriber(home, "a"), Subscriber(home, "b")
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await until(lambda: far.asked)
        group.start_soon(second.run)
        await anyio.wait_all_tasks_blocked()
        first.scope.cancel()
        await anyio.wait_all_tasks_blocked()
        far.gate.set()

    assert (first.outcome, second.outcome, far.asked) == ("waits", "subscribed", 1)
    assert home.app.gateway.subscribers("up", STATIC) == (STATIC, frozenset("b"))


async def test_an_opening_that_nobody_waits_for_is_taken_back_before_the_next(home: House, far: Gated) -> None:
    first, second = Subscriber(home, "a"), Subscriber(home, "b")
    async with anyio.create_task_group() as group:
        group.start_soon(first.run)
        await until(lambda: far.asked)
        first.scope.cancel()
        await until(lambda: far.given_up)
        far.gate.set()
        group.start_soon(second.run)

    assert (second.outcome, far.asked, far.given_up) == ("subscribed", 2, 1)
    assert far.subscribed == {STATIC}
    assert home.app.gateway.subscribers("up", STATIC) == (STATIC, frozenset("b"))


async def test_who_subscribes_while_the_last_one_leaves_is_subscribed(home: House, far: Gated) -> None:
    gateway, second = home.app.gateway, Subscriber(home, "b")
    far.gate.set()
    await gateway.route(Call("resources/subscribe", {"uri": STATIC}, client("a")))
    gateway.release(client("a"))
    await second.run()

    assert (second.outcome, far.asked, far.given_up) == ("subscribed", 2, 1)
    assert far.subscribed == {STATIC}


async def test_a_changed_entry_of_the_server_keeps_subscriptions_and_level(home: House, far: Gated) -> None:
    gateway = home.app.gateway
    far.gate.set()
    await gateway.route(Call("resources/subscribe", {"uri": STATIC}, client("a")))
    await gateway.route(Call("logging/setLevel", {"level": "debug"}, client("a")))
    far.subscribed.clear()
    far.levels.clear()

    config = json.loads(home.app.config.path.read_text())
    config["mcpServers"]["up"]["timeout"] = 21
    home.app.config.path.write_text(json.dumps(config))
    assert home.app.reloading.reload()

    await until(lambda: far.subscribed == {STATIC} and far.levels == ["debug", "debug"])  # shared and own
    assert gateway.subscribers("up", STATIC) == (STATIC, frozenset("a"))
    gateway.release(client("a"))
    await until(lambda: not far.subscribed)
    assert gateway.subscribers("up", STATIC) == NOBODY


async def test_what_a_client_subscribed_to_is_given_up_with_it(home: House, far: Gated) -> None:
    gateway = home.app.gateway
    far.gate.set()
    await gateway.route(Call("resources/subscribe", {"uri": STATIC}, client("a")))
    assert gateway.subscribers("up", STATIC) == (STATIC, frozenset({"a"}))
    gateway.release(client("a"))

    await until(lambda: not far.subscribed)
    assert gateway.subscribers("up", STATIC) == (STATIC, frozenset())


async def test_giving_up_what_one_never_had_is_no_fault(home: House, far: Gated) -> None:
    await home.app.gateway.route(Call("resources/unsubscribe", {"uri": STATIC}, client("a")))
    home.app.gateway.release(client("a"))

    assert far.subscribed == set()
